// Python in a worker: `await ready`, then `await ask({ kind: "run", line: "params gpt3" })`.
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let count = 0;
/** @type {(value: void) => void} */ let isReady;
/** @type {(reason: Error) => void} */ let hasFailed;

/** Resolved when Python can answer; rejected when it cannot start. */
export const ready = new Promise((resolve, reject) => { isReady = resolve; hasFailed = reject; });

worker.onmessage = ({ data }) => {
  if (data.ready === true) return isReady();
  if (data.ready === false) return hasFailed(new Error(data.error));
  waiting.get(data.id)?.(data.answer);
  waiting.delete(data.id);
};
worker.onerror = (event) => hasFailed(new Error(event.message || "the worker cannot be loaded"));

/** Ask Python. @param {object} message @returns {Promise<any>} */
export async function ask(message) {
  await ready;
  const id = ++count;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    worker.postMessage({ id, message });
  });
}
