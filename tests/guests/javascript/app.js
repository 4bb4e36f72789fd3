// The conformance module in JavaScript.
import * as bus from "hostcore:module/bus@1.0.0";
import * as capabilities from "hostcore:module/capabilities@1.0.0";
import * as context from "hostcore:module/context@1.0.0";
import * as kv from "hostcore:module/kv@1.0.0";
import * as log from "hostcore:module/log@1.0.0";
import * as timers from "hostcore:module/timers@1.0.0";

let count = 0;
let config = "{}";

// What is thrown in this shape is an error for the caller; anything else is a trap.
const failed = (code, message, details) => ({ code, message, details });

const deeper = (depth) => 1 + deeper(depth + 1);

function grow() {
  const held = [];
  try {
    for (;;) held.push(new Uint8Array(1 << 20));
  } catch {
    held.length = 0;
    throw failed("memory", "no more memory");
  }
}

function who() {
  const { name, version, generation } = context.module();
  const { sender, trace, id } = context.message();
  return JSON.stringify({ name, version, generation, sender, trace, id });
}

const topics = {
  echo: (payload) => (count++, payload),
  count: () => JSON.stringify({ count: ++count }),
  none: () => null,
  fail: () => {
    throw failed("invalid-argument", "bad thing", '{"field": "x"}');
  },
  trap: () => null.x,
  spin: () => {
    for (;;);
  },
  recurse: () => String(deeper(0)),
  grow,
  log: (payload) => (log.log("warn", JSON.parse(payload), null), null),
  print: () => {
    throw failed("unimplemented", "there is no standard output");
  },
  kv: (payload) => (kv.set("k", payload), kv.get("k")),
  delete: () => JSON.stringify(kv.delete("k")),
  keys: (payload) => JSON.stringify(kv.keys(JSON.parse(payload))),
  unsubscribe: (payload) => (bus.unsubscribe(JSON.parse(payload)), null),
  ask: (payload) => {
    const it = JSON.parse(payload);
    return bus.request(it.target, it.topic, JSON.stringify(it.payload ?? null), 0);
  },
  send: (payload) => {
    const it = JSON.parse(payload);
    bus.send(it.target, it.topic, JSON.stringify(it.payload ?? null));
    return null;
  },
  publish: (payload) => {
    const it = JSON.parse(payload);
    bus.publish(it.topic, JSON.stringify(it.payload ?? null));
    return null;
  },
  invoke: (payload) => {
    const it = JSON.parse(payload);
    return capabilities.invoke(it.capability, it.operation, JSON.stringify(it.args));
  },
  granted: (payload) => JSON.stringify(capabilities.granted(JSON.parse(payload))),
  who,
  sleep: (payload) => (timers.sleep(JSON.parse(payload)), '"slept"'),
  config: () => config,
};

export const lifecycle = {
  initialize(given) {
    config = given;
    const { fail, subscribe } = JSON.parse(given);
    log.log("info", "ready", null);
    if (fail !== undefined) throw failed("invalid-argument", fail);
    if (typeof subscribe === "string") bus.subscribe(subscribe);
  },
  getCapabilities: () => [{ name: "echo", version: "1.0", schema: null }],
  handleMessage(topic, payload) {
    if (!Object.hasOwn(topics, topic)) throw failed("invalid-argument", "unknown topic");
    return topics[topic](payload);
  },
  execute: (input) => JSON.stringify({ echo: JSON.parse(input), count }),
  getState: () => JSON.stringify({ count }),
  restoreState(state) {
    ({ count } = JSON.parse(state));
  },
  shutdown() {
    log.log("info", "bye", null);
  },
};

export const hooks = {
  implemented: () => [
    "initialize(config)",
    "get_capabilities()",
    "handle_message(topic, payload)",
    "execute(input)",
    "get_state()",
    "restore_state(state)",
    "shutdown()",
    "check_health()",
  ],
  call(hook, given) {
    if (hook === "check_health") return "true";
    if (hook === "restore_state") {
      lifecycle.restoreState(JSON.stringify(JSON.parse(given).state));
      return null;
    }
    throw failed("unimplemented", "no such hook");
  },
};
