// A combobox after the WAI-ARIA pattern: an input with suggestions, which chooses only what is pressed, marked or named.
import { find, table } from "./names.js";
import { element } from "./state.js";

const MOST = 80; // suggestions
let count = 0;

/** @typedef {{name: string, title: string, note?: string, words: string}} Choice */

/** Return how to mark an option by its place, and how to open and close the list of an input.
 * @param {HTMLInputElement} input @param {HTMLElement} list @param {(at: number) => void} press what a click or tap does */
export function listbox(input, list, press) {
  const options = () => [...list.querySelectorAll("[aria-selected]")];
  function mark(at) {
    options().forEach((each, index) => each.setAttribute("aria-selected", String(index === at)));
    const option = options()[at];
    option?.scrollIntoView({ block: "nearest" });
    if (option) input.setAttribute("aria-activedescendant", option.id);
    else input.removeAttribute("aria-activedescendant");
  }
  function expand(isOpen, at = -1) {
    list.hidden = !isOpen;
    input.setAttribute("aria-expanded", String(isOpen));
    mark(at);
  }
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the input keeps the focus
  list.addEventListener("click", ({ target }) => { const at = options().indexOf(target.closest("li")); if (at >= 0) press(at); });
  return { mark, expand };
}

/** Make a combobox of an input and a list, and return a function that shows a choice. @param {"model" | "gpu"} of @param {HTMLInputElement} input @param {HTMLElement} list
 * @param {() => Choice[]} choices @param {(name: string, count?: number) => void} choose @param {boolean} [keeps] the text */
export function combobox(of, input, list, choices, choose, keeps = true) {
  const own = `choice-${++count}-`;
  const plain = { "aria-autocomplete": "list", autocomplete: "off", autocapitalize: "off", spellcheck: "false", enterkeyhint: "go" };
  for (const [name, value] of Object.entries(plain)) input.setAttribute(name, value);
  let shown = [], at = -1, isMarked = false, before = "", known = {}, asked = 0;
  const { mark, expand } = listbox(input, list, (index) => pick(shown[index].name));

  function found(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean), exact = known[text.trim().toLowerCase()];
    const all = choices().filter((each) => each.name === exact || words.every((word) => each.words.includes(word)));
    const rank = (each) => (each.name === exact ? 0 : each.words.startsWith(words[0] ?? "") ? 1 : 2);
    return words.length ? all.sort((a, b) => rank(a) - rank(b)).slice(0, MOST) : all;
  }

  function open(text = "", message = "") {
    asked += 1;
    shown = found(text);
    for (let start = text; !shown.length && start.length > 2 && !text.includes("/");) shown = found(start = start.slice(0, -1)); // the closest
    at = text ? -1 : shown.findIndex((each) => each.name === input.dataset.name);
    isMarked = false;
    list.replaceChildren(...shown.map((each, index) => element(
      "li", { role: "option", id: own + index, "aria-selected": "false" },
      each.title, each.note ? element("span", {}, each.note) : null,
    )));
    const nothing = text.includes("/") ? "Press Enter to look up this repository" : `Nothing matches “${text.slice(0, 40)}”`;
    const said = message || (text && !shown.length ? nothing : "");
    if (said) list.prepend(element("li", { role: "option", "aria-disabled": "true" }, said));
    input.setCustomValidity(message);
    expand(list.children.length > 0, at);
  }

  function pick(name, number) {
    asked += 1;
    expand(false);
    before = input.value = keeps ? input.value : "";
    choose(name, number);
  }

  /** Choose what the text names, or say that it names nothing. */
  async function enter() {
    const text = input.value.trim(), own = asked += 1;
    if (!text || text === before) return expand(false);
    const titled = shown.find(({ title }) => title.toLowerCase() === text.toLowerCase());
    const named = titled ?? await find(of, text);
    if (own !== asked) return; // the text has changed, or something was chosen
    if (named?.name) pick(named.name, named.count);
    else if (document.activeElement === input) open(text, named?.text ?? "The computation was stopped");
  }

  input.addEventListener("focus", () => { before = input.value; input.select(); table().then((all) => { known = all[of]; }); });
  input.addEventListener("click", () => { if (list.hidden) open(); });
  input.addEventListener("input", () => open(input.value));
  input.addEventListener("blur", () => { expand(false); input.setCustomValidity(""); input.value = keeps ? before : ""; });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) return open();
      mark(at = Math.max(0, Math.min(shown.length - 1, at + step)));
      isMarked = true;
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!list.hidden && isMarked && shown[at]) pick(shown[at].name);
      else enter();
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      expand(false);
      input.value = keeps ? before : "";
    }
  });
  return (name, title) => { // shows the chosen one
    input.dataset.name = name;
    before = title;
    if (document.activeElement !== input || list.hidden) input.value = title;
  };
}
