// A module as a core WebAssembly module in AssemblyScript: the ABI hostcore-core-1, see ../interface/core-abi.md.
//
//     import * as hc from "./hostcore";
//     export * from "./hostcore/exports";
//
//     hc.module.handleMessage = (topic: string, payload: string): hc.Result => {
//       if (topic == "echo") return hc.ok(payload);
//       return hc.fail("invalid-argument", "unknown topic");
//     };
//
// with this folder copied beside it as `hostcore`.
//
// Hooks that are not set answer "unimplemented", or do nothing.  All texts are JSON; `get`, `text`, `number` and `quote`
// take a small object apart and write one.

import { quote } from "./json";
export * from "./json";

@external("hostcore", "log")
declare function hostLog(level: i32, at: usize, length: i32): void;
@external("hostcore", "call")
declare function hostCall(op: usize, opLength: i32, argument: usize, length: i32, out: usize, room: i32): u64;
@external("hostcore", "read")
declare function hostRead(out: usize, length: i32): i32;

const ERROR: u64 = 1 << 63;
const NONE: u64 = 1 << 62;

// Results.

/** What a hook or the host answered: a text, most often JSON; null: nothing; or an error, which is a JSON object. */
export class Result {
  constructor(
    public value: string | null,
    public failed: bool = false,
  ) {}

  /** The text; "" where there is none. */
  get text(): string {
    const value = this.value;
    return value === null ? "" : value;
  }
}

export const NOTHING = new Result(null);

export function ok(json: string): Result {
  return new Result(json);
}

/** Answer with an error; `details` is JSON, or "". */
export function fail(code: string, message: string, details: string = ""): Result {
  const more = details.length ? ',"details":' + details : "";
  return new Result('{"code":' + quote(code) + ',"message":' + quote(message) + more + "}", true);
}

// The module.

export class Module {
  initialize: (config: string) => Result = (config: string): Result => NOTHING;
  handleMessage: (topic: string, payload: string) => Result = (topic: string, payload: string): Result => absent();
  execute: (input: string) => Result = (input: string): Result => absent();
  getState: () => Result = (): Result => absent();
  restoreState: (state: string) => Result = (state: string): Result => absent();
  shutdown: () => Result = (): Result => NOTHING;
  /** A JSON list, as in '[{"name":"echo","version":"1.0"}]'. */
  capabilities: string = "[]";
}

/** The hooks of this module: set those that it has. */
export const module = new Module();

function absent(): Result {
  return fail("unimplemented", "the module has no such hook");
}

// Asking the host.

const out = new ArrayBuffer(1024);

/** Ask for anything of the list in core-abi.md. */
export function ask(op: string, argument: string): Result {
  const opText = utf8(op);
  const text = utf8(argument);
  const got = hostCall(at(opText), opText.byteLength, at(text), text.byteLength, at(out), out.byteLength);
  if (got & NONE) return NOTHING;
  const length = <i32>(got & 0xffffffff);
  let from = out;
  if (length > out.byteLength) {
    from = new ArrayBuffer(length);
    hostRead(at(from), length);
  }
  return new Result(String.UTF8.decodeUnsafe(at(from), length), (got & ERROR) != 0);
}

/** Write to the module's own log: 0 trace, 1 debug, 2 info, 3 warn, 4 error.  Always there. */
export function log(level: i32, message: string): void {
  const text = utf8(message);
  hostLog(level, at(text), text.byteLength);
}

/** What this module is: `{"name", "version", "generation"}`.  Always there. */
export function contextModule(): string {
  return ask("context.module", "").text;
}

/** The message that is being handled: `{"id", "sender", "schema", "trace", "remaining_ms"}`; "": none is. */
export function contextMessage(): string {
  return ask("context.message", "").text;
}

/** Send a message, no reply wanted.  Permission: bus. */
export function send(target: string, topic: string, payload: string): Result {
  return ask("bus.send", addressed(target, topic, payload) + "}");
}

/** Send a message and wait for the reply; 0 milliseconds: the host's own limit.  Permission: bus. */
export function request(target: string, topic: string, payload: string, timeoutMs: u32 = 0): Result {
  const limit = timeoutMs ? ',"timeout_ms":' + timeoutMs.toString() : "";
  return ask("bus.request", addressed(target, topic, payload) + limit + "}");
}

/** Tell every subscriber of a topic.  Permission: bus. */
export function publish(topic: string, payload: string): Result {
  return ask("bus.publish", '{"topic":' + quote(topic) + ',"payload":' + json(payload) + "}");
}

/** Have messages whose topic matches delivered to `handleMessage`.  Permission: bus. */
export function subscribe(pattern: string): Result {
  return ask("bus.subscribe", pattern);
}

export function unsubscribe(pattern: string): Result {
  return ask("bus.unsubscribe", pattern);
}

/** A value of the module's own store; null: no such key.  Permission: kv. */
export function kvGet(key: string): Result {
  return ask("kv.get", key);
}

export function kvSet(key: string, value: string): Result {
  return ask("kv.set", '{"key":' + quote(key) + ',"value":' + json(value) + "}");
}

/** "true" if it was there, else "false".  Permission: kv. */
export function kvDelete(key: string): Result {
  return ask("kv.delete", key);
}

/** A JSON list.  Permission: kv. */
export function kvKeys(prefix: string): Result {
  return ask("kv.keys", prefix);
}

/** Whether the module has a permission, as in "net:api.example.org:443".  Always there. */
export function granted(permission: string): bool {
  return ask("cap.granted", permission).text == "true";
}

/** Ask a service of the host; `args` and the result are JSON.  Permission: that of the service. */
export function invoke(capability: string, operation: string, args: string): Result {
  return ask(
    "cap.invoke",
    '{"capability":' + quote(capability) + ',"operation":' + quote(operation) + ',"args":' + json(args) + "}",
  );
}

/** Wait; the guest is suspended, its host is not.  Permission: clock. */
export function sleep(milliseconds: u32): Result {
  return ask("timers.sleep", milliseconds.toString());
}

function addressed(target: string, topic: string, payload: string): string {
  return '{"target":' + quote(target) + ',"topic":' + quote(topic) + ',"payload":' + json(payload);
}

function json(payload: string): string {
  return payload.length ? payload : "null";
}

export function at(buffer: ArrayBuffer): usize {
  return changetype<usize>(buffer);
}

/** A lone half of a pair, which UTF-8 has no form for, becomes U+FFFD. */
export function utf8(text: string): ArrayBuffer {
  return String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
}
