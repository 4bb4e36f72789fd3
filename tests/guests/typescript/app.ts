// The conformance module in TypeScript.
import type { HostError, Lifecycle } from "hostcore:module";
import * as bus from "hostcore:module/bus@1.0.0";
import * as capabilities from "hostcore:module/capabilities@1.0.0";
import * as context from "hostcore:module/context@1.0.0";
import * as kv from "hostcore:module/kv@1.0.0";
import * as log from "hostcore:module/log@1.0.0";
import * as timers from "hostcore:module/timers@1.0.0";

interface Address {
  target: string;
  topic: string;
  payload: unknown;
}

let count = 0;
let config = "{}";

// What is thrown in this shape is an error for the caller; anything else is a trap.
const failed = (code: string, message: string, details?: string): HostError => ({ code, message, details });

const address = (payload: string): Address => ({ target: "", topic: "", payload: null, ...(JSON.parse(payload) as Partial<Address>) });

const deeper = (depth: number): number => 1 + deeper(depth + 1);

function spin(): never {
  for (;;);
}

function grow(): never {
  const held: Uint8Array[] = [];
  try {
    for (;;) held.push(new Uint8Array(1 << 20));
  } catch {
    held.length = 0;
    throw failed("memory", "no more memory");
  }
}

function who(): string {
  const { name, version, generation } = context.module();
  const { sender, trace, id } = context.message()!;
  return JSON.stringify({ name, version, generation, sender, trace, id });
}

/** Answer the topics that ask the host. */
function ask(topic: string, payload: string): string | null {
  switch (topic) {
    case "ask": {
      const to = address(payload);
      return bus.request(to.target, to.topic, JSON.stringify(to.payload), 0);
    }
    case "send": {
      const to = address(payload);
      bus.send(to.target, to.topic, JSON.stringify(to.payload));
      return null;
    }
    case "publish": {
      const to = address(payload);
      bus.publish(to.topic, JSON.stringify(to.payload));
      return null;
    }
    case "invoke": {
      const what = JSON.parse(payload) as { capability: string; operation: string; args: unknown };
      return capabilities.invoke(what.capability, what.operation, JSON.stringify(what.args));
    }
    case "kv":
      kv.set("k", payload);
      return kv.get("k");
    case "delete":
      return JSON.stringify(kv.delete("k"));
    case "keys":
      return JSON.stringify(kv.keys(JSON.parse(payload) as string));
    case "unsubscribe":
      bus.unsubscribe(JSON.parse(payload) as string);
      return null;
    case "granted":
      return JSON.stringify(capabilities.granted(JSON.parse(payload) as string));
    case "who":
      return who();
    case "sleep":
      timers.sleep(JSON.parse(payload) as number);
      return '"slept"';
  }
  throw failed("invalid-argument", "unknown topic");
}

export const lifecycle: Lifecycle = {
  initialize(given) {
    config = given;
    const { fail, subscribe } = JSON.parse(given) as { fail?: string; subscribe?: unknown };
    log.log("info", "ready", null);
    if (fail !== undefined) throw failed("invalid-argument", fail);
    if (typeof subscribe === "string") bus.subscribe(subscribe);
  },
  getCapabilities: () => [{ name: "echo", version: "1.0" }],
  handleMessage(topic, payload) {
    switch (topic) {
      case "echo":
        count++;
        return payload;
      case "count":
        return JSON.stringify({ count: ++count });
      case "none":
        return null;
      case "config":
        return config;
      case "fail":
        throw failed("invalid-argument", "bad thing", '{"field": "x"}');
      case "trap":
        throw new Error("an exception that is not a HostError is a trap");
      case "spin":
        return spin();
      case "recurse":
        return String(deeper(0));
      case "grow":
        return grow();
      case "log":
        log.log("warn", JSON.parse(payload) as string, null);
        return null;
      case "print":
        throw failed("unimplemented", "there is no standard output");
    }
    return ask(topic, payload);
  },
  execute: (input) => JSON.stringify({ echo: JSON.parse(input) as unknown, count }),
  getState: () => JSON.stringify({ count }),
  restoreState(state) {
    ({ count } = JSON.parse(state) as { count: number });
  },
  shutdown() {
    log.log("info", "bye", null);
  },
};
