import type { HostError, Lifecycle } from "hostcore:module";

let count = 0;

const failed = (code: string, message: string): HostError => ({ code, message });
const getState = () => JSON.stringify({ count });

export const lifecycle: Lifecycle = {
  initialize() {},
  getCapabilities: () => [],
  handleMessage(topic, payload) {
    if (topic !== "add") throw failed("invalid-argument", "unknown topic");
    count += (JSON.parse(payload) as { by?: number } | null)?.by ?? 1;
    return getState();
  },
  execute() {
    throw failed("unimplemented", "only messages");
  },
  getState,
  restoreState(state) {
    count = (JSON.parse(state) as { count: number }).count;
  },
  shutdown() {},
};
