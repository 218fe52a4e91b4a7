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
  const { inputs, total, active, flops } = files.first;
  const found = { params: BigInt(total[at]), active: BigInt(active[at] || total[at]) };
  const steps = ([prefill, decode], suffix = "") => {
    const sizes = { batch: BigInt(batch), seq: BigInt(seq) };
    const value = (step, text) => (text === null ? null : evaluate(inputs[step] + (text || prefill[at]), sizes));
    found[`prefill${suffix}`] = value("prefill", prefill[at]);
    found[`decode${suffix}`] = value("decode", decode[at]);
  };
  steps(flops);
  if (files.flops) steps(files.flops, "_other");
  return found;
}
