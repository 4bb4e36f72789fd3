package main

import (
	"encoding/json"

	"counter/hostcore"
)

type state struct {
	Count uint64 `json:"count"`
}

var counter state

func main() {}

func init() {
	hostcore.HandleMessage = func(topic string, payload json.RawMessage) (any, error) {
		if topic != "add" {
			return nil, hostcore.Fail("invalid-argument", "unknown topic")
		}
		asked := struct{ By uint64 }{1}
		if err := json.Unmarshal(payload, &asked); err != nil {
			return nil, err
		}
		counter.Count += asked.By
		return counter, nil
	}
	hostcore.GetState = func() (any, error) { return counter, nil }
	hostcore.RestoreState = func(state json.RawMessage) error { return json.Unmarshal(state, &counter) }
}
