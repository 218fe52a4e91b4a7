// The memory of a model on one of several tensor-parallel ranks.
import { evaluate } from "./forms.js";
import { place } from "./quantities.js";

/** Returns exact bytes (BigInt) by name, or null for those that only Python can compute, or nothing.
 *
 * @param {{first?: any, memory?: any}} files contents of the files that have been loaded
 * @param {string} model name of a preset
 * @param {{batch: number, seq: number, ranks?: number, weights?: string, cache?: string}} settings
 */
export function memory(files, model, { batch, seq, ranks = 1, weights = "", cache = "" }) {
  const { models = [], ...known } = files.memory ?? {};
  const all = models[place(files, model)];
  const own = all?.[known.ranks.indexOf(ranks)];
  const [format, stored] = [known.weights?.indexOf(weights), known.caches?.indexOf(cache)];
  if (!own || format < 0 || stored < 0) return {};
  const sizes = { batch: BigInt(batch), seq: BigInt(seq), ranks: BigInt(ranks), step: BigInt(known.steps[format]) };
  const value = (text, more) => (text == null ? null : evaluate(String(text), { ...sizes, ...more }));
  const [more, host, states, activations] = own;
  const divided = { whole: BigInt(all[0][0][format]), more: BigInt(more[format]) };
  const found = {
    weights: own === all[0] ? divided.whole : value(known.divided, divided),
    host: BigInt(host && host[format]),
    state: value(states[stored]),
    activations: value(activations),
  };
  const isKnown = !Object.values(found).includes(null);
  for (const [name, text] of Object.entries(known.totals)) found[name] = isKnown ? value(text, found) : null;
  return found;
}
