// The memory of one GPU from closed forms, while Python starts or computes. Several GPUs need a layout, which Python chooses.
import { memory } from "./memory.js";

const PARTS = [["weights", "Weights"], ["state", "KV cache"], ["transient", "Buffers"], ["reserve", "Runtime"]];
const UNITS = [[40n, "TiB"], [30n, "GiB"], [20n, "MiB"], [10n, "KiB"]];

/** Write bytes with four digits and a binary unit. @param {bigint} bytes */
export function binary(bytes) {
  const [shift, unit] = UNITS.find(([each]) => bytes >> each) ?? [0n, "B"];
  return `${(Number(bytes) / Number(1n << shift)).toPrecision(shift ? 4 : String(bytes).length)} ${unit}`;
}

/** Return the memory without an engine, which has no verdict, or null if the forms do not tell. @param {any} files @param {any} catalogue
 * @param {import("./state.js").State} state @param {string} model name of the preset @param {string} title */
export function instant(files, catalogue, state, model, title) {
  const gpu = catalogue?.gpus.find(({ name }) => name === (catalogue.gpu_aliases[state.gpu] ?? state.gpu));
  if (!gpu || state.n !== 1 || state.task) return null;
  const found = memory(files, model, { batch: state.users, seq: state.context, weights: state.weights, cache: state.kv });
  if (found.needed === null || found.needed === undefined) return null;
  const reserve = BigInt(catalogue.reserve), size = BigInt(gpu.usable_bytes), usable = size - reserve;
  const free = usable - found.needed;
  const sizes = { weights: found.weights - found.host, state: found.state, transient: found.activations, reserve };
  const parts = PARTS.map(([name, text]) => ({ name, title: text, bytes: Number(sizes[name]), text: binary(sizes[name]) }));
  const where = `one ${gpu.title}`, needed_text = binary(found.needed + reserve), size_text = binary(size);
  return {
    lead: "Memory without an engine", gpu: where, isInstant: true,
    text: `${title} needs about ${binary(found.needed)} of ${size_text} on ${where}, before the engine's own memory. The verdict, speed and price follow when Python has started.`,
    memory: {
      parts, needed_text, size_text, free_text: binary(free > 0n ? free : 0n), layout: "", replicas: 1,
      total: Number(found.needed + reserve), size: Number(size),
    },
  };
}
