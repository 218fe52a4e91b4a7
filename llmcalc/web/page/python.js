// Python in a worker: `await ask({ kind: "run", line: "params gpt3" })`.
// One message is computed at a time. A message with a slot replaces a waiting one of the same slot, so that a slider
// never waits for positions that it has left.

/** @typedef {{message: object, slot?: string, resolve: (answer: any) => void}} Waiting */
const URL_OF_WORKER = new URL("./worker.js", import.meta.url);
const IDLE = 2000; // milliseconds between the start of Python and work for later visits
const LEAST_MEMORY = 4; // GiB of a device on which a second Python may run for a moment
/** @type {Waiting[]} */ let queue = [];
/** @type {object[][]} */ const opened = [];
/** @type {Waiting | null} */ let current = null;
/** @type {Worker} */ let worker;
/** @type {() => void} */ let isReady;
/** @type {(reason: Error) => void} */ let hasFailed;
let loaded = 0;
let id = 0;

/** Emits "progress" with `detail.loaded`, the bytes received, while Python starts. */
export const events = new EventTarget();

/** Resolved when Python can answer; rejected when it cannot start. */
export let ready = start();

function start() {
  const found = new Promise((resolve, reject) => { isReady = resolve; hasFailed = reject; });
  found.catch(() => {}); // whoever awaits it hears of an error
  worker = new Worker(URL_OF_WORKER, { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.loaded) {
      loaded += data.loaded;
      events.dispatchEvent(new CustomEvent("progress", { detail: { loaded } }));
    } else if (data.ready !== undefined) {
      data.ready ? isReady() : hasFailed(new Error(data.error));
    } else if (current && data.id === id) {
      current.resolve(data.answer);
      current = null;
      next();
    }
  };
  worker.onerror = (event) => hasFailed(new Error(event.message || "the worker cannot be loaded"));
  found.then(next, () => {});
  return found;
}

/** Keep the page for offline use, and then a snapshot of Python for a quick start of the next visit. */
async function keep() {
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.register(new URL("./offline.js", import.meta.url), { updateViaCache: "none" });
  await navigator.serviceWorker.ready;
  document.documentElement.dataset.cached = "true";
  if ((navigator.deviceMemory ?? LEAST_MEMORY) < LEAST_MEMORY) return;
  const maker = new Worker(URL_OF_WORKER, { type: "module", name: "snapshot" });
  maker.onmessage = ({ data }) => { if (typeof data === "string") maker.terminate(); };
  maker.onerror = () => maker.terminate();
}
ready.then(() => setTimeout(() => keep().catch(() => {}), IDLE), () => {});

function next() {
  if (current || !queue.length) return;
  current = queue.shift();
  worker.postMessage({ id: ++id, message: current.message });
}

/**
 * Ask Python. The answer has a `code` other than 0 and a `text` if something is wrong.
 * @param {object} message
 * @param {string} [slot] the answer is null if another message of this slot came before this one was sent
 * @returns {Promise<any>}
 */
export async function ask(message, slot) {
  await ready;
  return new Promise((resolve) => {
    const place = slot === undefined ? -1 : queue.findIndex((other) => other.slot === slot);
    if (place >= 0) queue.splice(place, 1)[0].resolve(null);
    queue.push({ message, slot, resolve });
    next();
  });
}

/**
 * Make files readable for Python, and return the path of each: `{model, folder, paths}`.
 * @param {...{name: string, content: Blob | string | ArrayBuffer}} files those of one model share a folder
 */
export function open(...files) {
  opened.push(files);
  return ask({ kind: "load", files });
}

/** Stop what is computed, and start Python again with the same files. Answers that are waited for are null. */
export function stop() {
  worker.terminate();
  for (const waiting of [current, ...queue]) waiting?.resolve(null);
  current = null;
  queue = opened.map((files) => ({ message: { kind: "load", files }, resolve: () => {} })); // in folders of the same names
  ready = start();
}
