import * as hc from "./hostcore";
export * from "./hostcore/exports";

let count: i64 = 0;

hc.module.getState = (): hc.Result => hc.ok('{"count":' + count.toString() + "}");

hc.module.restoreState = (state: string): hc.Result => {
  count = hc.number(hc.get(state, "count"));
  return hc.NOTHING;
};

hc.module.handleMessage = (topic: string, payload: string): hc.Result => {
  if (topic != "add") return hc.fail("invalid-argument", "unknown topic");
  count += hc.number(hc.get(payload, "by"), 1);
  return hc.module.getState();
};
