// The first paint: exact numbers from closed forms, before anything else is loaded.
import { load } from "./load.js";
import { quantities } from "./quantities.js";
import { element, onChange, state } from "./state.js";

/** The numbers for which the page reserves room. */
export const CARDS = [
  ["memory", "Needed per GPU"], ["latency", "Speed per user"], ["prefill", "First token"], ["throughput", "Throughput"],
  ["cost", "Price per million tokens"], ["capacity", "Users at once"], ["params", "Parameters"], ["flops", "Compute per token"],
].map(([why, label]) => ({ why, label, text: "–", note: "", evidence: "" }));
const grid = document.getElementById("facts");
/** Files of forms that were loaded. */
export const files = {};
/** Names of presets by alias. */
export const names = new Map();
const first = load("first").then((found) => { files.first = found; });
const early = {};
let isAnswered = false;

/** Write a text if it differs, so that screen readers hear changes only. */
export function write(of, text) {
  if (of.textContent !== text) of.textContent = text;
}

/** Show numbers, each of which opens to its derivation. */
export function showFacts(facts, isFinal = false) {
  isAnswered ||= isFinal;
  const known = new Map([...grid.children].map((each) => [each.dataset.why, each]));
  facts.forEach((fact, at) => {
    const own = known.get(fact.why) ?? card(fact.why);
    known.delete(fact.why);
    if (grid.children[at] !== own) grid.insertBefore(own, grid.children[at] ?? null);
    const [label, number, note] = own.firstChild.children;
    write(label, fact.label);
    write(number.firstChild, fact.text);
    write(number.lastChild, fact.after ? ` ${fact.after}` : "");
    write(note.firstChild, fact.note);
    write(note.lastChild, fact.evidence);
  });
  known.forEach((each) => each.remove());
}

/** Show a number that is known before Python has answered. @param {string} why @param {string} text @param {string} after */
export function showEarly(why, text, after) {
  early[why] = { text, after };
  paint();
}

function card(why) {
  const inside = [element("h3"), element("strong", {}, element("span"), element("small")), element("p", {}, element("span"), element("em"))];
  const made = element("details", { className: "fact" }, element("summary", {}, ...inside), element("div"));
  made.dataset.why = why;
  return made;
}

/** Write a BigInt with four digits, such as `8.030 B`. */
function human(number) {
  const rank = Math.min(Math.floor((String(number).length - 1) / 3), 4);
  return rank ? `${(Number(number) / 1000 ** rank).toPrecision(4)} ${" KMBT"[rank]}` : String(number);
}

/** Show the numbers that forms give, until Python has answered. The exact ones stay in `data-form` and `data-value`. */
export async function paint() {
  await first;
  const model = names.get(state.model) ?? state.model;
  const { params, active, decode } = quantities(files, model, { batch: 1, seq: Math.max(state.context - 1, 1) });
  grid.querySelectorAll("[data-form]").forEach((each) => each.removeAttribute("data-form"));
  if (!params || state.config) return;
  const own = {
    params: {
      text: human(params), evidence: "executed", exact: params,
      note: params === active ? params.toLocaleString("en") : `${human(active)} active per token`,
    },
    flops: decode ? { text: human(decode), note: "in matrix products", after: "FLOPs", exact: decode } : {},
  };
  if (!isAnswered) showFacts(CARDS.map((each) => ({ ...each, ...early[each.why], ...own[each.why] })));
  for (const number of grid.querySelectorAll("strong span")) {
    const why = number.closest("details").dataset.why, exact = own[why]?.exact;
    if (exact) Object.assign(number.dataset, { form: why === "params" ? "parameters" : why, value: exact });
  }
}

showFacts(CARDS);
onChange(paint);
paint().catch(() => {}).finally(() => {
  load("flops").then((found) => { files.flops = found; paint(); }).catch(() => {});
  import("./page.js");
});
