// The conformance module in AssemblyScript, as a core module.
import * as hc from "./hostcore";
export * from "./hostcore/exports";

let count: i64 = 0;
let config = "{}";

function counted(): string {
  return '{"count":' + count.toString() + "}";
}

function grow(): hc.Result {
  const held: StaticArray<u8>[] = [];
  while (held.length >= 0) held.push(new StaticArray<u8>(1 << 20)); // traps when the memory is refused
  return hc.NOTHING;
}

function spin(): hc.Result {
  while (hc.NOTHING.failed == false) {}
  return hc.NOTHING;
}

function deeper(depth: i64): i64 {
  return depth == count - 1 ? 0 : deeper(depth + 1) + count; // not a tail call
}

function who(): hc.Result {
  const me = hc.contextModule();
  const message = hc.contextMessage();
  const fields = ["name", "version", "generation", "sender", "trace", "id"];
  let json = "";
  for (let i = 0; i < fields.length; i++) {
    const value = hc.get(i < 3 ? me : message, fields[i]);
    json += (i ? "," : "{") + hc.quote(fields[i]) + ":" + value;
  }
  return hc.ok(json + "}");
}

function store(payload: string): hc.Result {
  const set = hc.kvSet("k", payload);
  return set.failed ? set : hc.kvGet("k");
}

function slept(result: hc.Result): hc.Result {
  return result.failed ? result : hc.ok('"slept"');
}

function logged(payload: string): hc.Result {
  hc.log(3, hc.text(payload));
  return hc.NOTHING;
}

// The topics that ask the host.
function ask(topic: string, payload: string): hc.Result {
  const target = hc.text(hc.get(payload, "target"));
  const to = hc.text(hc.get(payload, "topic"));
  const what = hc.get(payload, "payload");
  if (topic == "ask") return hc.request(target, to, what);
  if (topic == "send") return hc.send(target, to, what);
  if (topic == "publish") return hc.publish(to, what);
  if (topic == "kv") return store(payload);
  if (topic == "delete") return hc.kvDelete("k");
  if (topic == "keys") return hc.kvKeys(hc.text(payload));
  if (topic == "unsubscribe") return hc.unsubscribe(hc.text(payload));
  if (topic == "granted") return hc.ok(hc.granted(hc.text(payload)).toString());
  if (topic == "who") return who();
  if (topic == "sleep") return slept(hc.sleep(<u32>hc.number(payload)));
  if (topic == "invoke") {
    const capability = hc.text(hc.get(payload, "capability"));
    return hc.invoke(capability, hc.text(hc.get(payload, "operation")), hc.get(payload, "args"));
  }
  return hc.fail("invalid-argument", "unknown topic");
}

hc.module.handleMessage = (topic: string, payload: string): hc.Result => {
  if (topic == "echo") {
    count++;
    return hc.ok(payload);
  }
  if (topic == "count") {
    count++;
    return hc.ok(counted());
  }
  if (topic == "none") return hc.NOTHING;
  if (topic == "config") return hc.ok(config);
  if (topic == "fail") return hc.fail("invalid-argument", "bad thing", '{"field":"x"}');
  if (topic == "print") return hc.fail("unimplemented", "there is no standard output");
  if (topic == "trap") unreachable();
  if (topic == "spin") return spin();
  if (topic == "recurse") return hc.ok(deeper(count).toString());
  if (topic == "grow") return grow();
  if (topic == "log") return logged(payload);
  return ask(topic, payload);
};

hc.module.initialize = (given: string): hc.Result => {
  config = given;
  const message = hc.get(given, "fail");
  const pattern = hc.text(hc.get(given, "subscribe"));
  hc.log(2, "ready");
  if (message.length) return hc.fail("invalid-argument", hc.text(message));
  return pattern.length ? hc.subscribe(pattern) : hc.NOTHING;
};

hc.module.execute = (input: string): hc.Result =>
  hc.ok('{"echo":' + input + ',"count":' + count.toString() + "}");

hc.module.getState = (): hc.Result => hc.ok(counted());

hc.module.restoreState = (state: string): hc.Result => {
  count = hc.number(hc.get(state, "count"));
  return hc.NOTHING;
};

hc.module.shutdown = (): hc.Result => {
  hc.log(2, "bye");
  return hc.NOTHING;
};

hc.module.capabilities = '[{"name":"echo","version":"1.0"}]';
