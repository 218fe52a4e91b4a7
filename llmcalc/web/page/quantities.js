// Parameters and FLOPs of a model, which are the first numbers of the page.
import { evaluate } from "./forms.js";

/** Returns the number of a model in the files, or -1. @param {any} files @param {string} model name of a preset */
export const place = (files, model) => files.first?.models.indexOf(model) ?? -1;

/** Returns exact integers (BigInt) by name, or null for those that only Python can compute, or nothing.
 *
 * @param {{first?: any, flops?: any}} files contents of the files that have been loaded
 * @param {string} model name of a preset
 * @param {{batch: number, seq: number}} sizes
 */
export function quantities(files, model, { batch, seq }) {
  const at = place(files, model);
  if (at < 0) return {};
  const { total, active } = files.first;
  const found = { params: BigInt(total[at]), active: BigInt(active[at] || total[at]) };
  const { inputs, ...flops } = files.flops ?? {};
  const sizes = { batch: BigInt(batch), seq: BigInt(seq) };
  const value = (step, text) => (text === null ? null : evaluate(step + text, sizes));
  for (const [name, [prefill, decode]] of Object.entries(flops)) {
    const suffix = name === "other" ? "_other" : "";
    found[`prefill${suffix}`] = value(inputs.prefill, prefill[at]);
    found[`decode${suffix}`] = value(inputs.decode, decode[at] === "" ? prefill[at] : decode[at]);
  }
  return found;
}
