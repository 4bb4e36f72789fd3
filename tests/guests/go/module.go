// The conformance module in Go, as a core module on WASI.
package main

import (
	"encoding/json"
	"fmt"

	"guest/hostcore"
)

var (
	count  uint64
	config json.RawMessage
	kept   any
)

func main() {}

func init() {
	hostcore.Capabilities = []hostcore.Capability{{Name: "echo", Version: "1.0"}}
	hostcore.Initialize = initialize
	hostcore.HandleMessage = handleMessage
	hostcore.Execute = func(input json.RawMessage) (any, error) {
		return map[string]any{"echo": input, "count": count}, nil
	}
	hostcore.GetState = func() (any, error) { return counted(), nil }
	hostcore.RestoreState = func(state json.RawMessage) error {
		var given struct{ Count uint64 }
		err := json.Unmarshal(state, &given)
		count = given.Count
		return err
	}
	hostcore.Shutdown = func() error {
		hostcore.Log(hostcore.Info, "bye")
		return nil
	}
}

func initialize(given json.RawMessage) error {
	config = given
	var asked struct {
		Fail      *string
		Subscribe string
	}
	hostcore.Log(hostcore.Info, "ready")
	if err := json.Unmarshal(given, &asked); err != nil {
		return err
	}
	if asked.Fail != nil {
		return hostcore.Fail("invalid-argument", *asked.Fail)
	}
	if asked.Subscribe != "" {
		return hostcore.Subscribe(asked.Subscribe)
	}
	return nil
}

func counted() any {
	return map[string]uint64{"count": count}
}

func deeper(depth int) int {
	return deeper(depth+1) + 1
}

func grow() {
	var held [][]byte
	for { // ends the program when the memory is refused
		held = append(held, make([]byte, 1<<20))
		kept = held
	}
}

func who() (any, error) {
	me, err := hostcore.ContextModule()
	if err != nil {
		return nil, err
	}
	message, err := hostcore.ContextMessage()
	if err != nil || message == nil {
		return nil, err
	}
	return map[string]any{
		"name": me.Name, "version": me.Version, "generation": me.Generation,
		"sender": message.Sender, "trace": message.Trace, "id": message.ID,
	}, nil
}

func text(payload json.RawMessage) (value string) {
	_ = json.Unmarshal(payload, &value)
	return value
}

func handleMessage(topic string, payload json.RawMessage) (any, error) {
	switch topic {
	case "echo":
		count++
		return payload, nil
	case "count":
		count++
		return counted(), nil
	case "none":
		return nil, nil
	case "config":
		return config, nil
	case "fail":
		return nil, &hostcore.Error{Code: "invalid-argument", Message: "bad thing", Details: []byte(`{"field":"x"}`)}
	case "trap":
		panic("a panic ends the instance")
	case "spin":
		for {
		}
	case "recurse":
		return deeper(0), nil
	case "grow":
		grow()
	case "log":
		hostcore.Log(hostcore.Warn, text(payload))
		return nil, nil
	case "print":
		fmt.Println(text(payload))
		return nil, nil
	}
	return ask(topic, payload)
}

// ask answers the topics that ask the host.
func ask(topic string, payload json.RawMessage) (any, error) {
	var to struct {
		Target, Topic         string
		Payload               json.RawMessage
		Capability, Operation string
		Args                  json.RawMessage
	}
	_ = json.Unmarshal(payload, &to)
	switch topic {
	case "ask":
		return hostcore.Request(to.Target, to.Topic, to.Payload, 0)
	case "send":
		return nil, hostcore.Send(to.Target, to.Topic, to.Payload)
	case "publish":
		return nil, hostcore.Publish(to.Topic, to.Payload)
	case "invoke":
		return hostcore.Invoke(to.Capability, to.Operation, to.Args)
	case "delete":
		return hostcore.KvDelete("k")
	case "keys":
		return hostcore.KvKeys(text(payload))
	case "unsubscribe":
		return nil, hostcore.Unsubscribe(text(payload))
	case "granted":
		return hostcore.Granted(text(payload)), nil
	case "who":
		return who()
	case "sleep":
		var milliseconds uint32
		_ = json.Unmarshal(payload, &milliseconds)
		return "slept", hostcore.Sleep(milliseconds)
	case "kv":
		if err := hostcore.KvSet("k", string(payload)); err != nil {
			return nil, err
		}
		value, _, err := hostcore.KvGet("k")
		return json.RawMessage(value), err
	}
	return nil, hostcore.Fail("invalid-argument", "unknown topic")
}
