// Runs llmcalc in a worker: loads Python, unpacks the package into its memory file system, and answers messages.
import { loadPyodide } from "./python/pyodide.mjs";

const PYTHON = new URL("./python/", import.meta.url).href;
const TYPES = { wasm: "application/wasm", zip: "application/zip" };
const plainFetch = self.fetch;

/** Fetch a file that is stored compressed. @param {string} url @param {string} type */
async function unpacked(url, type) {
  const sent = await plainFetch(`${url}.gz`);
  if (!sent.ok) throw new Error(`${url}.gz: ${sent.status}`);
  return new Response(sent.body.pipeThrough(new DecompressionStream("gzip")), { headers: { "Content-Type": type } });
}

// requests that begin at once, and which Pyodide makes later
const begun = new Map(["pyodide.asm.wasm", "python_stdlib.zip"].map((name) => {
  const url = PYTHON + name;
  return [url, unpacked(url, TYPES[name.split(".").pop()])];
}));
self.fetch = (resource, options) => begun.get(String(resource.url ?? resource)) ?? plainFetch(resource, options);
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

/** Start Python and return the function that answers messages. */
async function start() {
  const python = await loadPyodide({
    indexURL: PYTHON,
    fsInit: async (FS, { sitePackages }) => writeFiles(FS, sitePackages, await files),
  });
  return python.pyimport("llmcalc.web.worker").handle_text;
}

const answer = start();
answer.then(
  () => self.postMessage({ ready: true }),
  (error) => self.postMessage({ ready: false, error: String(error) }),
);
self.onmessage = async ({ data }) => {
  const handle = await answer;
  self.postMessage({ id: data.id, answer: JSON.parse(handle(JSON.stringify(data.message))) });
};
