// The interface hostcore:module@1.0.0 for TypeScript: what a module imports from its host, and what it exports.
//
//     import type { Lifecycle } from "hostcore:module";
//     import * as bus from "hostcore:module/bus@1.0.0";
//
//     export const lifecycle: Lifecycle = { ... };
//
// All payloads, states, arguments and results are JSON text.  An import throws a `HostError`; a hook that throws one
// answers with it, and one that throws anything else ends the instance.

declare module "hostcore:module" {
  export interface HostError {
    /** A host's: "denied", "not-found", "invalid-argument", "too-large", "deadline", "full", "cycle", "stopped",
     * "failed", "internal".  A module's own words are free; "unimplemented" says that it does not have the hook. */
    code: string;
    message: string;
    /** JSON; from a host it has the stable code, as in {"code": "HC601"}. */
    details?: string | null;
  }

  export interface Capability {
    /** As in "parser:python". */
    name: string;
    /** As in "1.2". */
    version: string;
    /** A JSON Schema of its requests. */
    schema?: string | null;
  }

  /** The hooks of a module, in the order in which a host calls them. */
  export interface Lifecycle {
    /** `config` is a JSON object, checked against the manifest, defaults filled in. */
    initialize(config: string): void;
    getCapabilities(): Capability[];
    /** What is returned is the reply; nothing: null. */
    handleMessage(topic: string, payload: string): string | null | undefined;
    execute(input: string): string;
    getState(): string;
    restoreState(state: string): void;
    shutdown(): void;
  }

  /** For the world module-with-hooks. */
  export interface Hooks {
    /** Every hook that the guest has, with the arguments that it takes: "restore_state(state, from_version)". */
    implemented(): string[];
    /** `given` is a JSON object by name. */
    call(hook: string, given: string): string | null | undefined;
  }
}

/** The module's own log; always there. */
declare module "hostcore:module/log@1.0.0" {
  /** `fields` is a JSON object, or null; all three must be given. */
  export function log(level: "trace" | "debug" | "info" | "warn" | "error", message: string, fields: string | null): void;
}

/** What the guest is, and what it is handling; always there. */
declare module "hostcore:module/context@1.0.0" {
  export interface MessageInfo {
    id: string;
    /** The module that sent it; "host" for the program itself. */
    sender: string;
    /** "topic/version" of the sender's payload type, or "". */
    schema: string;
    /** The id of the message with which the whole exchange began. */
    trace: string;
    /** The milliseconds left until its deadline; null: it has none. */
    remainingMs: number | null;
  }
  function module_(): { name: string; version: string; generation: number };
  export { module_ as module };
  /** null: no message is being handled, but a hook of the lifecycle. */
  export function message(): MessageInfo | null;
}

/** Messages to other modules; each needs its `bus` permission. */
declare module "hostcore:module/bus@1.0.0" {
  /** No reply wanted; an error if the target's mailbox is full. */
  export function send(target: string, topic: string, payload: string): void;
  /** Wait for the reply; `timeoutMs` 0: the host's own limit. */
  export function request(target: string, topic: string, payload: string, timeoutMs: number): string | null;
  /** To every subscriber of `topic`. */
  export function publish(topic: string, payload: string): void;
  /** Have messages whose topic matches `pattern` delivered to `handleMessage`. */
  export function subscribe(pattern: string): void;
  export function unsubscribe(pattern: string): void;
}

/** A small persistent store of the module's own; needs the permission `kv`. */
declare module "hostcore:module/kv@1.0.0" {
  /** null: no such key. */
  export function get(key: string): string | null;
  export function set(key: string, value: string): void;
  function delete_(key: string): boolean;
  /** Whether it was there. */
  export { delete_ as delete };
  export function keys(prefix: string): string[];
}

/** Services of the host, such as HTTP; each call is checked against the module's grants. */
declare module "hostcore:module/capabilities@1.0.0" {
  /** Whether the module has a permission, as in "net:api.example.org:443". */
  export function granted(permission: string): boolean;
  /** `args` is a JSON object of named arguments, the result is JSON. */
  export function invoke(capability: string, operation: string, args: string): string;
}

/** Waiting without holding the host; needs the permission `clock`. */
declare module "hostcore:module/timers@1.0.0" {
  export function sleep(milliseconds: number): void;
}
