let count = 0;

const getState = () => JSON.stringify({ count });

export const lifecycle = {
  initialize(config) {},
  getCapabilities: () => [],
  handleMessage(topic, payload) {
    if (topic !== "add") throw { code: "invalid-argument", message: "unknown topic" };
    count += JSON.parse(payload)?.by ?? 1;
    return getState();
  },
  execute() {
    throw { code: "unimplemented", message: "only messages" };
  },
  getState,
  restoreState(state) {
    count = JSON.parse(state).count;
  },
  shutdown() {},
};
