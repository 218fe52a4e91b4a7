// The sliders and lists of the workload.
import { combobox } from "./picker.js";
import { change, element, readNumber, state } from "./state.js";

const $ = (id) => document.getElementById(id);
const halves = (least, most) => Array.from({ length: 2 * (most - least) + 1 }, (_, at) =>
  2 ** (least + (at >> 1)) * (at % 2 ? 1.5 : 1)).filter(Number.isInteger);
const CACHES = ["fp8", "q8_0", "q4_0"];
/** Values of the sliders. */
const STEPS = {
  n: [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128], users: [...new Set(halves(0, 10))], context: halves(7, 20), osl: halves(4, 16), batch: [...new Set(halves(0, 8))],
};
const KNOBS = { n: ["count", "GPUs"], users: ["users", "users"], context: ["context", "tokens"], osl: ["osl", "tokens"], batch: ["batch", "sequences"] };
/** Names of sizes in answers, and where the model only reads, and in training. */
const NAMES = [["users", "Users at once", "Texts at once", ""], ["context", "Context with output", "Tokens per text", "Tokens per sequence"]];
const HIDDEN = { users: [0, 0, 1], osl: [0, 1, 1], batch: [1, 1, 0], kv: [0, 1, 1], weights: [0, 0, 1] };
/** GPUs to choose from, the usual ones first. @type {import("./picker.js").Choice[]} */
let gpus = [];
const showGpu = combobox("gpu", $("gpu"), $("gpus"), () => gpus, (name, count = state.n) => change({ gpu: name, n: count }));
/** Steps of each slider, which end at what the model accepts. */
const steps = { ...STEPS };

const nearest = (all, value) => all.reduce((best, each, at) =>
  (Math.abs(Math.log(each / value)) < Math.abs(Math.log(all[best] / value)) ? at : best), 0);

/** Make the sliders work. */
export function startKnobs() {
  $("users").parentElement.after(element("div", { className: "knob", hidden: true }, element("label", { htmlFor: "batch" }, "Sequences per GPU"),
    element("input", { id: "batch-text", "aria-label": "Number of sequences per GPU" }), element("input", { id: "batch", type: "range" })));
  for (const [key, [id]] of Object.entries(KNOBS)) {
    const range = $(id), text = $(`${id}-text`);
    text.inputMode = ["n", "users", "batch"].includes(key) ? "numeric" : "text";
    range.min = "0";
    range.step = "1";
    const moved = (quick) => change({ [key]: steps[key][Number(range.value)] }, quick);
    range.addEventListener("input", () => moved(true));
    range.addEventListener("change", () => moved(false));
    text.addEventListener("change", () => {
      const found = readNumber(text.value);
      text.setCustomValidity(found >= 1 ? "" : "Use a number such as 16, 8192 or 8k.");
      if (!text.reportValidity()) return;
      change({ [key]: found });
      showKnobs();
    });
    text.addEventListener("input", () => text.setCustomValidity(""));
    text.addEventListener("keydown", (event) => { if (event.key === "Enter") text.blur(); });
  }
  for (const key of ["weights", "kv"]) $(key).addEventListener("change", () => change({ [key]: $(key).value }));
}

/** Name the sizes of the workload, and hide those that a model without answers does not have. @param {boolean} onlyReads */
export function nameKnobs(onlyReads) {
  const at = state.task === "train" ? 2 : Number(onlyReads);
  for (const [id, ...texts] of NAMES) document.querySelector(`label[for="${id}"]`).textContent = texts[at] || texts[0];
  for (const [id, hidden] of Object.entries(HIDDEN)) $(id).parentElement.hidden = Boolean(hidden[at]);
}

/** Show the state in the controls. @param {number | null} [longest] tokens that the model accepts */
export function showKnobs(longest) {
  if (longest !== undefined) steps.context = STEPS.context.filter((each) => each < (longest ?? Infinity)).concat(longest ?? []);
  steps.osl = STEPS.osl.filter((each) => each < state.context);
  if (!steps.osl.length) steps.osl = [1];
  for (const [key, [id, unit]] of Object.entries(KNOBS)) {
    const range = $(id), text = $(`${id}-text`), value = Math.min(state[key], { context: steps.context.at(-1), osl: Math.max(state.context - 1, 1) }[key] ?? Infinity);
    range.max = String(steps[key].length - 1);
    if (steps[key][Number(range.value)] !== value) range.value = String(nearest(steps[key], value));
    range.style.setProperty("--fill", `${(100 * Number(range.value)) / Math.max(steps[key].length - 1, 1)}%`);
    range.setAttribute("aria-valuetext", `${value.toLocaleString("en")} ${unit}`);
    if (document.activeElement !== text) text.value = value.toLocaleString("en"), text.setCustomValidity("");
  }
  showGpu(state.gpu, gpus.find((each) => each.name === state.gpu)?.title ?? state.gpu);
  for (const key of ["weights", "kv"]) {
    const own = $(key);
    const [given] = own.querySelectorAll("[data-given]");
    if (given && given.value !== state[key]) given.remove();
    if (state[key] && ![...own.options].some((each) => each.value === state[key])) {
      own.append(option(state[key], state[key]));
      own.lastChild.dataset.given = "";
    }
    own.value = state[key];
  }
}

const option = (value, title) => element("option", { value }, title);

/** Fill the lists. @param {any} catalogue */
export function fillLists(catalogue) {
  const usual = catalogue.common.map((name) => catalogue.gpus.find((each) => each.name === name));
  const others = catalogue.gpus.filter((each) => !usual.includes(each))
    .sort((one, other) => one.title.localeCompare(other.title, "en", { numeric: true }));
  gpus = [...usual, ...others].map(({ name, title }) => ({ name, title, words: `${title} ${name}`.toLowerCase() }));
  const formats = (isLlama) => catalogue.formats.filter((each) => each.is_llama_cpp === isLlama)
    .map(({ name, bits }) => option(name, `${name} · ${bits} bits`));
  $("weights").replaceChildren(
    option("", "published"), element("optgroup", { label: "GPU engines" }, ...formats(false)),
    element("optgroup", { label: "GGUF, runs in llama.cpp" }, ...formats(true)),
  );
  $("kv").replaceChildren(option("", "16 bits"), ...CACHES.map((name) => option(name, name)));
  showKnobs();
}
