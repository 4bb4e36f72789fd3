// Package hostcore makes a core WebAssembly module of a Go program: the ABI hostcore-core-1, see ../interface/core-abi.md.
//
// Copy this folder into your own module, set the hooks in an init function, and build a reactor:
//
//	func init() {
//		hostcore.HandleMessage = func(topic string, payload json.RawMessage) (any, error) {
//			if topic == "echo" {
//				return payload, nil
//			}
//			return nil, hostcore.Fail("invalid-argument", "unknown topic")
//		}
//	}
//
//	func main() {}
//
// What a hook returns is written as JSON; nil is nothing.  An *Error answers with its code, any other error with the
// code "failed".  A panic ends the instance.
package hostcore

import (
	"encoding/json"
	"errors"
	"strconv"
	"unsafe"
)

// The hooks of the module.  Those that are nil answer "unimplemented", or do nothing.
var (
	Initialize    func(config json.RawMessage) error
	HandleMessage func(topic string, payload json.RawMessage) (any, error)
	Execute       func(input json.RawMessage) (any, error)
	GetState      func() (any, error)
	RestoreState  func(state json.RawMessage) error
	Shutdown      func() error
	Capabilities  = []Capability{}
)

// Capability is something that the module provides: {"parser:python", "1.2", nil}.
type Capability struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	Schema  json.RawMessage `json:"schema,omitempty"`
}

// Error is what went wrong, for the other side to act on.
type Error struct {
	Code    string          `json:"code"`
	Message string          `json:"message"`
	Details json.RawMessage `json:"details,omitempty"`
}

func (e *Error) Error() string {
	return e.Code + ": " + e.Message
}

// Fail returns an error for a hook to return.
func Fail(code, message string) *Error {
	return &Error{Code: code, Message: message}
}

// Asking the host.

//go:wasmimport hostcore log
func hostLog(level int32, text unsafe.Pointer, length uint32)

//go:wasmimport hostcore call
func hostCall(op unsafe.Pointer, opLength uint32, argument unsafe.Pointer, length uint32, out unsafe.Pointer, room uint32) uint64

//go:wasmimport hostcore read
func hostRead(out unsafe.Pointer, length uint32) int32

const (
	isError = uint64(1) << 63
	isNone  = uint64(1) << 62
)

// Ask asks for anything of the list in core-abi.md.  Nil: nothing.
func Ask(op, argument string) ([]byte, error) {
	out := make([]byte, 1024)
	got := hostCall(at(unsafe.StringData(op)), uint32(len(op)), at(unsafe.StringData(argument)), uint32(len(argument)),
		at(&out[0]), uint32(len(out)))
	if got&isNone != 0 {
		return nil, nil
	}
	length := uint32(got)
	if int(length) > len(out) {
		out = make([]byte, length)
		hostRead(at(&out[0]), length)
	}
	out = out[:length]
	if got&isError != 0 {
		failed := &Error{}
		if err := json.Unmarshal(out, failed); err != nil {
			return nil, err
		}
		return nil, failed
	}
	return out, nil
}

func at(first *byte) unsafe.Pointer {
	return unsafe.Pointer(first)
}

func askJSON(op string, argument any) ([]byte, error) {
	text, err := json.Marshal(argument)
	if err != nil {
		return nil, err
	}
	return Ask(op, string(text))
}

// Level is how serious a line of the log is.
type Level int32

// The levels of the log.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Err
)

// Log writes to the module's own log.  Always there.
func Log(level Level, message string) {
	hostLog(int32(level), at(unsafe.StringData(message)), uint32(len(message)))
}

// ModuleInfo is what this module is.
type ModuleInfo struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	Generation uint32 `json:"generation"`
}

// ContextModule returns what this module is.  Always there.
func ContextModule() (info ModuleInfo, err error) {
	text, err := Ask("context.module", "")
	if err == nil {
		err = json.Unmarshal(text, &info)
	}
	return info, err
}

// MessageInfo is the message that is being handled.
type MessageInfo struct {
	ID          string  `json:"id"`
	Sender      string  `json:"sender"`
	Schema      string  `json:"schema"`
	Trace       string  `json:"trace"`
	RemainingMs *uint64 `json:"remaining_ms"`
}

// ContextMessage returns the message that is being handled; nil: none is.  Always there.
func ContextMessage() (*MessageInfo, error) {
	text, err := Ask("context.message", "")
	if err != nil || text == nil {
		return nil, err
	}
	info := &MessageInfo{}
	return info, json.Unmarshal(text, info)
}

type addressed struct {
	Target    string `json:"target"`
	Topic     string `json:"topic"`
	Payload   any    `json:"payload"`
	TimeoutMs uint32 `json:"timeout_ms,omitempty"`
}

// Send sends a message, no reply wanted.  Permission: bus.
func Send(target, topic string, payload any) error {
	_, err := askJSON("bus.send", addressed{target, topic, payload, 0})
	return err
}

// Request sends a message and waits for the reply; 0 milliseconds: the host's own limit.  Permission: bus.
func Request(target, topic string, payload any, timeoutMs uint32) (json.RawMessage, error) {
	return askJSON("bus.request", addressed{target, topic, payload, timeoutMs})
}

// Publish tells every subscriber of a topic.  Permission: bus.
func Publish(topic string, payload any) error {
	_, err := askJSON("bus.publish", map[string]any{"topic": topic, "payload": payload})
	return err
}

// Subscribe has messages whose topic matches delivered to HandleMessage.  Permission: bus.
func Subscribe(pattern string) error {
	_, err := Ask("bus.subscribe", pattern)
	return err
}

// Unsubscribe takes back a Subscribe.
func Unsubscribe(pattern string) error {
	_, err := Ask("bus.unsubscribe", pattern)
	return err
}

// KvGet returns a value of the module's own store, and whether there is one.  Permission: kv.
func KvGet(key string) (value string, found bool, err error) {
	text, err := Ask("kv.get", key)
	return string(text), text != nil, err
}

// KvSet puts a value into the module's own store.  Permission: kv.
func KvSet(key, value string) error {
	_, err := askJSON("kv.set", map[string]any{"key": key, "value": json.RawMessage(value)})
	return err
}

// KvDelete returns whether the key was there.  Permission: kv.
func KvDelete(key string) (bool, error) {
	text, err := Ask("kv.delete", key)
	return string(text) == "true", err
}

// KvKeys returns the keys that begin with a prefix.  Permission: kv.
func KvKeys(prefix string) (keys []string, err error) {
	text, err := Ask("kv.keys", prefix)
	if err == nil {
		err = json.Unmarshal(text, &keys)
	}
	return keys, err
}

// Granted returns whether the module has a permission, as in "net:api.example.org:443".  Always there.
func Granted(permission string) bool {
	text, err := Ask("cap.granted", permission)
	return err == nil && string(text) == "true"
}

// Invoke asks a service of the host.  Permission: that of the service.
func Invoke(capability, operation string, args any) (json.RawMessage, error) {
	return askJSON("cap.invoke", map[string]any{"capability": capability, "operation": operation, "args": args})
}

// Sleep waits; the guest is suspended, its host is not.  Permission: clock.
func Sleep(milliseconds uint32) error {
	_, err := Ask("timers.sleep", strconv.FormatUint(uint64(milliseconds), 10))
	return err
}

// The exports.

var (
	input = make([]byte, 1024)
	// What was returned last, kept from the collector until the next call.
	result []byte
)

func given(from, length uint32) json.RawMessage {
	// A copy: the next call writes over the input buffer.
	return append(json.RawMessage(nil), input[from:from+length]...)
}

func returned(value any, err error) uint64 {
	flag := uint64(0)
	if err != nil {
		flag = isError
		failed := &Error{}
		if !errors.As(err, &failed) {
			failed = Fail("failed", err.Error())
		}
		value = failed
	}
	if raw, is := value.(json.RawMessage); value == nil || (is && raw == nil) {
		return 0
	}
	text, err := json.Marshal(value)
	if err != nil {
		return returned(nil, Fail("failed", err.Error()))
	}
	result = text
	return flag | uint64(uintptr(unsafe.Pointer(&result[0])))<<32 | uint64(len(result))
}

func absent() uint64 {
	return returned(nil, Fail("unimplemented", "the module has no such hook"))
}

//go:wasmexport hc_abi
func exportABI() int32 {
	return 1
}

//go:wasmexport hc_buf
func exportBuf(length uint32) uint32 {
	if int(length) > len(input) {
		input = make([]byte, length)
	}
	return uint32(uintptr(unsafe.Pointer(&input[0])))
}

//go:wasmexport hc_initialize
func exportInitialize(length uint32) uint64 {
	if Initialize == nil {
		return 0
	}
	return returned(nil, Initialize(given(0, length)))
}

//go:wasmexport hc_handle_message
func exportHandleMessage(topic, payload uint32) uint64 {
	if HandleMessage == nil {
		return absent()
	}
	return returned(HandleMessage(string(input[:topic]), given(topic, payload)))
}

//go:wasmexport hc_execute
func exportExecute(length uint32) uint64 {
	if Execute == nil {
		return absent()
	}
	return returned(Execute(given(0, length)))
}

//go:wasmexport hc_get_capabilities
func exportGetCapabilities() uint64 {
	return returned(Capabilities, nil)
}

//go:wasmexport hc_get_state
func exportGetState() uint64 {
	if GetState == nil {
		return absent()
	}
	return returned(GetState())
}

//go:wasmexport hc_restore_state
func exportRestoreState(length uint32) uint64 {
	if RestoreState == nil {
		return absent()
	}
	return returned(nil, RestoreState(given(0, length)))
}

//go:wasmexport hc_shutdown
func exportShutdown() uint64 {
	if Shutdown == nil {
		return 0
	}
	return returned(nil, Shutdown())
}
