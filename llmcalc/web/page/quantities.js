// The quantities of a model that have closed forms, from the files that have been loaded so far.
import { evaluate } from "./forms.js";

/** Loads a file that is stored compressed, whether or not the server has declared this. @param {string} name */
export async function load(name) {
  const response = await fetch(`forms/${name}.json.gz`);
  if (!response.ok) throw new Error(`forms/${name}.json.gz: ${response.status}`);
  const data = await response.arrayBuffer();
  const [first, second] = new Uint8Array(data, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return JSON.parse(new TextDecoder().decode(data));
  return new Response(new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

/** Returns exact integers (BigInt) by name, or null for those that only Python can compute.
 *
 * @param {{first?: any, flops?: any, memory?: any}} files contents by name
 * @param {string} model name of a preset
 * @param {{batch: number, seq: number, ranks?: number, weights?: string, cache?: string}} settings
 * @returns {Object<string, bigint | null>}
 */
export function quantities(files, model, { batch, seq, ranks = 1, weights = "", cache = "" }) {
  const sizes = { batch: BigInt(batch), seq: BigInt(seq) };
  const value = (text, more) => (text == null ? null : evaluate(String(text), { ...sizes, ...more }));
  const found = {};
  const steps = ([prefill, decode], suffix) => {
    const { inputs } = files.first;
    found[`prefill${suffix}`] = value(inputs.prefill + prefill);
    found[`decode${suffix}`] = decode === null ? null : value(inputs.decode + (decode || prefill));
  };
  const [total, active, ...matmul] = files.first?.models[model] ?? [];
  if (matmul.length) {
    Object.assign(found, { params: value(total), active: value(active) });
    steps(matmul, "");
    if (files.flops) steps(files.flops[model], "_other");
  }
  const memory = files.memory;
  const own = memory?.models[model]?.[memory.ranks.indexOf(ranks)];
  const format = memory?.weights.indexOf(weights);
  if (own && format >= 0) {
    const [stored, host, states, activations] = own;
    const divided = { whole: value(memory.models[model][0][0][format]), more: value(stored[format]), ranks: BigInt(ranks) };
    Object.assign(found, {
      weights: ranks === 1 ? divided.more : value(memory.divided, divided),
      host: value(host ? host[format] : 0),
      state: value(states[memory.caches.indexOf(cache)]),
      activations: value(activations, { step: BigInt(memory.steps[format]) }),
    });
    const isKnown = found.state !== null && found.activations !== null;
    for (const [name, text] of Object.entries(memory.totals)) found[name] = isKnown ? value(text, found) : null;
  }
  return found;
}
