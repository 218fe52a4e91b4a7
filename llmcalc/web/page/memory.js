// The memory of a model on one GPU.
import { evaluate } from "./forms.js";
import { place } from "./quantities.js";

/** Returns exact bytes (BigInt) by name, or null for those that only Python can compute, or nothing.
 *
 * @param {{first?: any, memory?: any}} files contents of the files that have been loaded
 * @param {string} model name of a preset
 * @param {{batch: number, seq: number, weights?: string, cache?: string}} settings
 */
export function memory(files, model, { batch, seq, weights = "", cache = "" }) {
  const known = files.memory, at = known ? place(files, model) : -1;
  if (at < 0) return {};
  const [format, stored] = [known.formats.indexOf(weights), known.caches.indexOf(cache)];
  if (format < 0 || stored < 0) return {};
  const sizes = { batch: BigInt(batch), seq: BigInt(seq), step: BigInt(known.steps[format]) };
  const value = (text, more) => (text === null ? null : evaluate(text, { ...sizes, ...more }));
  const host = known.host[at];
  const found = {
    weights: BigInt(known.weights[at][format]),
    host: BigInt(host && host[format]),
    state: value(known.states[at][stored]),
    activations: value(known.activations[at]),
  };
  const isKnown = !Object.values(found).includes(null);
  for (const [name, text] of Object.entries(known.totals)) found[name] = isKnown ? value(text, found) : null;
  return found;
}
