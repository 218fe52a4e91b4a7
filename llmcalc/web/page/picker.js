// A combobox after the WAI-ARIA pattern: an input with a list of suggestions.
import { element } from "./state.js";

const MOST = 80; // suggestions
let count = 0;

/** @typedef {{name: string, title: string, note?: string, words: string}} Choice */

/** Make a combobox of an input and a list. @param {HTMLInputElement} input @param {HTMLElement} list
 * @param {() => Choice[]} choices @param {(name: string) => void} choose @param {boolean} [keeps] whether to keep the text */
export function combobox(input, list, choices, choose, keeps = true) {
  const own = `choice-${++count}-`;
  const plain = { "aria-autocomplete": "list", autocomplete: "off", autocapitalize: "off", spellcheck: "false", enterkeyhint: "go" };
  for (const [name, value] of Object.entries(plain)) input.setAttribute(name, value);
  let shown = [], at = -1, before = "";

  function found(text) {
    const words = text.toLowerCase().split(/[\s/]+/).filter(Boolean);
    const all = choices().filter((each) => words.every((word) => each.words.includes(word)));
    const starts = (each) => (each.words.startsWith(words[0] ?? "") ? 0 : 1);
    return words.length ? all.sort((a, b) => starts(a) - starts(b)).slice(0, MOST) : all;
  }

  function open(text = "") {
    shown = found(text);
    for (let start = text; !shown.length && start.length > 2; shown = found(start)) start = start.slice(0, -1); // the closest
    at = shown.findIndex((each) => each.name === input.dataset.name);
    list.replaceChildren(...shown.map((each, index) => element(
      "li", { role: "option", id: own + index, "aria-selected": "false", onpointerdown: (event) => { event.preventDefault(); pick(each.name); } },
      each.title, each.note ? element("span", {}, each.note) : null,
    )));
    if (text && !shown.length) list.append(element("li", { role: "option", "aria-disabled": "true" }, `Nothing matches “${text.slice(0, 40)}”`));
    list.hidden = !list.children.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    mark(shown.length && text && at < 0 ? 0 : at);
  }

  function mark(index) {
    list.children[at]?.setAttribute("aria-selected", "false");
    at = index;
    const active = list.children[at];
    active?.setAttribute("aria-selected", "true");
    active?.scrollIntoView({ block: "nearest" });
    if (active) input.setAttribute("aria-activedescendant", active.id);
    else input.removeAttribute("aria-activedescendant");
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function pick(name) {
    close();
    before = input.value = keeps ? input.value : "";
    choose(name);
  }

  input.addEventListener("focus", () => { before = input.value; input.select(); });
  input.addEventListener("click", () => { if (list.hidden) open(); });
  input.addEventListener("input", () => open(input.value));
  input.addEventListener("blur", () => { close(); input.value = keeps ? before : ""; });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) open();
      else if (shown.length) mark(Math.max(0, Math.min(shown.length - 1, at + step)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!list.hidden && shown[at]) pick(shown[at].name);
      else if (input.value.trim()) pick(input.value.trim());
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
      input.value = keeps ? before : "";
    }
  });
  return { name: () => input.dataset.name,
    /** Show the chosen one. @param {string} name @param {string} title */
    show(name, title) {
      input.dataset.name = name;
      before = title;
      if (document.activeElement !== input || list.hidden) input.value = title;
    } };
}
