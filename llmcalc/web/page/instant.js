// The memory of a GPU from closed forms, while Python starts or computes.
import { memory } from "./memory.js";
import { place } from "./quantities.js";

const PARTS = [["weights", "Weights"], ["state", "KV cache"], ["transient", "Buffers"], ["reserve", "Runtime"]];
const UNITS = [[40n, "TiB"], [30n, "GiB"], [20n, "MiB"], [10n, "KiB"]];

/** Write bytes with four digits and a binary unit. @param {bigint} bytes */
export function binary(bytes) {
  const [shift, unit] = UNITS.find(([each]) => bytes >> each) ?? [0n, "B"];
  return `${(Number(bytes) / Number(1n << shift)).toPrecision(shift ? 4 : String(bytes).length)} ${unit}`;
}

/** Return the tensor-parallel layout that Python prefers and its memory, or null if the forms do not tell: the most ranks
 * that fit and divide the cache, or else that fit. Other kinds of ranks may be better for experts. Encoders have copies.
 * @param {any} files @param {string} model @param {import("./state.js").State} state
 * @param {{node: number, usable: bigint, isEncoder: boolean}} given */
function layout(files, model, state, { node, usable, isEncoder }) {
  const { n } = state, hasExperts = files.first.active[place(files, model)] > 0;
  const sizes = files.memory.ranks.filter((ranks) => n % ranks === 0 && ranks <= node).reverse();
  if (n > sizes[0] && (n & (n - 1) || node > sizes[0])) return null; // ranks without forms divide the GPUs too
  const found = sizes.map((ranks) => {
    const batch = Math.ceil((state.users * ranks) / n);
    return { ranks, ...memory(files, model, { batch, seq: state.context, ranks, weights: state.weights, cache: state.kv }) };
  }).filter(({ needed }) => needed !== undefined);
  if (found.some(({ needed }) => needed === null)) return null;
  const cache = (seq, ranks) => memory(files, model, { batch: 1, seq, ranks, weights: state.weights, cache: state.kv }).state;
  const ofToken = (ranks) => cache(2, ranks) - cache(1, ranks);
  const divides = ({ ranks }) => ofToken(ranks) * BigInt(ranks) === ofToken(1);
  const fitting = found.filter(({ needed }) => needed <= usable);
  const alone = isEncoder && fitting.find(({ ranks }) => ranks === 1);
  const best = alone || (fitting.find(divides) ?? (hasExperts ? null : fitting[0]));
  return n === 1 ? found[0] : best && (!hasExperts || best.ranks === n) ? best : null;
}

/** Return the verdict on memory, or null if the forms do not tell. @param {any} files @param {any} catalogue
 * @param {import("./state.js").State} state @param {string} model name of the preset @param {string} title */
export function instant(files, catalogue, state, model, title) {
  const gpu = catalogue?.gpus.find(({ name }) => name === (catalogue.gpu_aliases[state.gpu] ?? state.gpu));
  if (!files.memory || !gpu || place(files, model) < 0) return null;
  const reserve = BigInt(catalogue.reserve), size = BigInt(gpu.usable_bytes), usable = size - reserve;
  const isEncoder = catalogue.models.find(({ name }) => name === model)?.kind.split(",")[0] === "encoder";
  const found = layout(files, model, state, { node: gpu.node, usable, isEncoder });
  if (!found) return null;
  const free = usable - found.needed, fits = free >= 0n;
  const sizes = { weights: found.weights - found.host, state: found.state, transient: found.activations, reserve };
  const parts = PARTS.map(([name, text]) => ({ name, title: text, bytes: Number(sizes[name]), text: binary(sizes[name]) }));
  const where = state.n === 1 ? `one ${gpu.title}` : `${state.n} × ${gpu.title}`, needed_text = binary(found.needed + reserve), size_text = binary(size);
  return {
    fits, lead: fits ? "Fits" : "Does not fit", gpu: where, isInstant: true,
    text: fits ? `${title} fits on ${where} with ${binary(free)} to spare …` : `${title} needs ${needed_text} on ${where}, which has ${size_text} …`,
    memory: {
      parts, needed_text, size_text, free_text: binary(fits ? free : 0n), layout: found.ranks > 1 ? `tp ${found.ranks}` : "", replicas: state.n / found.ranks,
      total: Number(found.needed + reserve), size: Number(size),
    },
  };
}
