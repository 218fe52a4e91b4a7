// Runs llmcalc in a worker: loads Python, unpacks the package into its memory file system, and answers messages.
import { VERSION } from "./build.js";
import { loadPyodide } from "./python/pyodide.mjs";

const PYTHON = new URL("./python/", import.meta.url).href;
const PACKED = new Map([[`${PYTHON}pyodide.asm.wasm`, "application/wasm"], [`${PYTHON}python_stdlib.zip`, "application/zip"]]);
const SNAPSHOT_PREFIX = `llmcalc-snapshot ${new URL("./", import.meta.url).href} `;
const SNAPSHOT = SNAPSHOT_PREFIX + VERSION; // name of a cache
const KEY = new URL("./snapshot", import.meta.url).href;
const MOST_FOLDERS = 50; // of opened files; the oldest is closed
const plainFetch = self.fetch;
const instantiate = WebAssembly.instantiateStreaming;
const WASM_PAGE = 65536; // bytes

/** Fetch a file that is stored compressed, and report its bytes. @param {string} url @param {string} type */
async function unpacked(url, type) {
  const sent = await plainFetch(`${url}.gz`);
  if (!sent.ok) throw new Error(`${url}.gz: ${sent.status}`);
  const counted = new TransformStream({
    transform(chunk, controller) {
      self.postMessage({ loaded: chunk.length });
      controller.enqueue(chunk);
    },
  });
  const plain = sent.body.pipeThrough(counted).pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain, { headers: { "Content-Type": type } });
}

// requests that begin at once, and which Pyodide makes later
const begun = new Map([...PACKED].map(([url, type]) => [url, unpacked(url, type)]));
self.fetch = (resource, options) => {
  const url = String(resource.url ?? resource);
  if (!PACKED.has(url)) return plainFetch(resource, options);
  const sent = begun.get(url) ?? unpacked(url, PACKED.get(url));
  begun.delete(url);
  return sent;
};
const files = unpacked(new URL("./llmcalc.json", import.meta.url).href, "application/json").then((sent) => sent.json());

/** Write files of texts below a folder. @param {any} FS @param {string} folder @param {Record<string, string>} texts */
function writeFiles(FS, folder, texts) {
  const encoder = new TextEncoder();
  const made = new Set();
  for (const [path, text] of Object.entries(texts)) {
    const parent = `${folder}/${path.slice(0, path.lastIndexOf("/"))}`;
    if (!made.has(parent)) FS.mkdirTree(parent), made.add(parent);
    FS.writeFile(`${folder}/${path}`, encoder.encode(text), { canOwn: true });
  }
}

let count = 0;
/**
 * Make files readable for Python in a new folder. They stay where they are, and only the parts that Python reads are
 * loaded, so a checkpoint of any size can be opened for its header.
 * @param {any} FS @param {{name: string, content?: Blob | string | ArrayBuffer, text?: string, bytes?: number[]}[]} opened
 */
function open(FS, opened) {
  const folder = `/files/${++count}`;
  const used = new Set();
  const blobs = opened.map(({ name, text, bytes, content = text ?? new Uint8Array(bytes ?? []) }) => {
    let plain = String(name).split(/[/\\]/).pop().replace(/[^A-Za-z0-9._-]+/g, "_").replace(/^[.-]+/, "").slice(-80);
    plain ||= "file";
    while (used.has(plain)) plain = `_${plain}`;
    used.add(plain);
    return { name: plain, data: content instanceof Blob ? content : new Blob([content]) };
  });
  FS.mkdirTree(folder);
  FS.mount(FS.filesystems.WORKERFS, { blobs }, folder);
  if (count > MOST_FOLDERS) FS.unmount(`/files/${count - MOST_FOLDERS}`);
  const paths = blobs.map(({ name }) => `${folder}/${name}`);
  return { code: 0, folder, paths, model: paths.length === 1 ? paths[0] : folder };
}

/** Start Python, from a snapshot if there is one. @param {ArrayBuffer | undefined} snapshot @param {boolean} isMade */
async function load(snapshot, isMade = false) {
  WebAssembly.instantiateStreaming = async (source, imports) => {
    const made = await instantiate.call(WebAssembly, source, imports);
    const { memory } = made.instance.exports;
    const missing = (snapshot?.byteLength ?? 0) - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / WASM_PAGE)); // Pyodide expects that the snapshot fits
    return made;
  };
  return loadPyodide({
    indexURL: PYTHON, _makeSnapshot: isMade, ...(snapshot && { _loadSnapshot: snapshot }),
    fsInit: async (FS, { sitePackages }) => writeFiles(FS, sitePackages, await files),
  });
}

/** Start Python and return the function that answers messages. */
async function start() {
  const snapshot = await kept();
  const python = await load(snapshot).catch(async (error) => {
    if (!snapshot) throw error;
    await caches.delete(SNAPSHOT); // it cannot be used
    return load();
  });
  const handle = python.pyimport("llmcalc.web.worker").handle_text;
  return (message) => message?.kind === "load" ? open(python.FS, message.files) : JSON.parse(handle(JSON.stringify(message)));
}

/** Return the snapshot that an earlier visit made. */
async function kept() {
  const cache = self.caches && await caches.has(SNAPSHOT) && await caches.open(SNAPSHOT);
  return cache ? (await cache.match(KEY))?.arrayBuffer() : undefined;
}

/** Keep the memory of a Python that has imported llmcalc, from which the next visit starts. */
async function makeSnapshot() {
  if (await kept()) return;
  const python = await load(undefined, true);
  python.runPython("from llmcalc.web.worker import warm_up\nwarm_up()");
  const memory = python.makeMemorySnapshot();
  for (const name of await caches.keys()) if (name.startsWith(SNAPSHOT_PREFIX)) await caches.delete(name);
  await (await caches.open(SNAPSHOT)).put(KEY, new Response(memory));
}

if (self.name === "snapshot") {
  makeSnapshot().then(() => self.postMessage("made"), (error) => self.postMessage(String(error)));
} else {
  const answer = start();
  answer.then(
    () => self.postMessage({ ready: true }),
    (error) => self.postMessage({ ready: false, error: String(error) }),
  );
  self.onmessage = async ({ data }) => {
    let found;
    try {
      found = (await answer)(data.message);
    } catch (error) {
      found = { code: 70, text: `error: ${error}`, html: "" };
    }
    self.postMessage({ id: data.id, answer: found });
  };
}
