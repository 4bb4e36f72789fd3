// What the host calls.  A module re-exports it: export * from "./hostcore/exports";
import { at, module, ok, Result, utf8 } from "./index";

const ERROR: u64 = 1 << 63;

let input = new ArrayBuffer(1024);
// What was returned last, kept from the collector until the next call.
let result = new ArrayBuffer(0);

function given(from: i32, length: i32): string {
  return String.UTF8.decodeUnsafe(at(input) + from, length);
}

function returned(what: Result): u64 {
  if (what.value === null) return 0;
  result = utf8(what.text);
  return (what.failed ? ERROR : 0) | ((<u64>at(result)) << 32) | (<u64>result.byteLength);
}

export function hc_abi(): i32 {
  return 1;
}
export function hc_buf(length: i32): usize {
  if (length > input.byteLength) input = new ArrayBuffer(length);
  return at(input);
}
export function hc_initialize(length: i32): u64 {
  return returned(module.initialize(given(0, length)));
}
export function hc_handle_message(topic: i32, payload: i32): u64 {
  return returned(module.handleMessage(given(0, topic), given(topic, payload)));
}
export function hc_execute(length: i32): u64 {
  return returned(module.execute(given(0, length)));
}
export function hc_get_capabilities(): u64 {
  return returned(ok(module.capabilities));
}
export function hc_get_state(): u64 {
  return returned(module.getState());
}
export function hc_restore_state(length: i32): u64 {
  return returned(module.restoreState(given(0, length)));
}
export function hc_shutdown(): u64 {
  return returned(module.shutdown());
}
