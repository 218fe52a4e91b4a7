// Fine-tuning and training: the choice of the task, the settings of a step and of a run, and ways to train a model.
import { change, element, state } from "./state.js";

const $ = (id) => document.getElementById(id);
const SELECTS = {
  method: ["Method", [["", "full"], ["lora", "LoRA"], ["qlora", "QLoRA"]]],
  optimizer: ["Optimizer", [["", "AdamW"], ["adam-8bit", "8-bit Adam"], ["adafactor", "Adafactor"], ["lion", "Lion"], ["muon", "Muon"], ["sgd-momentum", "SGD, momentum"], ["sgd", "SGD"]]],
  recompute: ["Recomputation", [["", "none"], ["selective", "selective"], ["op", "op (torchtitan)"], ["full", "full"]]],
  loss: ["Cross-entropy", [["", "separate"], ["fused", "fused"]]],
};
const INPUTS = { tokens: ["Training tokens", "1B"], mfu: ["MFU in percent", "published"] };

/** Make the buttons of the task, and the controls of training, which are hidden until they are needed. */
export function startTraining() {
  for (const button of $("task").children) button.addEventListener("click", () => change({ task: button.value }));
  const select = ([key, [label, choices]]) => element("div", {}, element("label", { htmlFor: key }, label),
    element("select", { id: key, onchange: (event) => change({ [key]: event.target.value }) }, ...choices.map(([value, text]) => element("option", { value }, text))));
  const input = ([key, [label, placeholder]]) => element("div", {}, element("label", { htmlFor: key }, label),
    element("input", { id: key, placeholder, autocomplete: "off", onchange: (event) => change({ [key]: event.target.value.trim() }) }));
  const all = [...Object.entries(INPUTS).map(input), ...Object.entries(SELECTS).map(select)];
  const pairs = all.flatMap((each, at) => (at % 2 ? [] : [element("div", { className: "pair" }, each, all[at + 1])]));
  $("osl").parentElement.after(element("div", { id: "training", hidden: true }, ...pairs));
  $("answer").after(element("section", { id: "recipes", "aria-labelledby": "recipes-title", hidden: true },
    element("h2", { id: "recipes-title" }, "Ways to train it"), element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "Ways to train" })));
}

/** Show the task and its settings. */
export function showTraining() {
  const isTrain = state.task === "train";
  document.documentElement.classList.toggle("train", isTrain);
  for (const button of $("task").children) button.setAttribute("aria-pressed", String(button.value === state.task));
  $("training").hidden = !isTrain;
  if (!isTrain) $("recipes").hidden = true;
  for (const key of [...Object.keys(SELECTS), ...Object.keys(INPUTS)]) if (document.activeElement !== $(key) || $(key).tagName === "SELECT") $(key).value = state[key];
}

/** Show the ways to train a model. @param {any} found */
export function showRecipes(found) {
  const section = $("recipes");
  section.hidden = !found?.rows;
  if (section.hidden) return;
  const head = ["method", "needed per GPU"].map((text) => element("th", { scope: "col" }, text));
  const isChosen = ({ set }) => ["method", "optimizer", "recompute", "loss"].every((key) => set[key] === state[key]);
  const use = (row) => (row.fits ? element("button", { type: "button", "aria-label": `Use ${[row.method, row.saving].filter(Boolean).join(", ")}`, onclick: () => change(row.set) }, "Use") : null);
  const rows = found.rows.map((row) => element("tr", { className: isChosen(row) ? "chosen" : "" },
    element("th", { scope: "row" }, row.method, element("small", {}, row.saving)),
    element("td", {}, row.needed, element("small", {}, row.fits ? `up to ${row.batch} ${row.batch === 1 ? "sequence" : "sequences"} per GPU` : "does not fit")),
    element("td", {}, use(row))));
  section.querySelector(".wide").replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...head, element("td"))), element("tbody", {}, ...rows)));
}
