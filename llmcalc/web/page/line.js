// The command line: a combobox with completions, and the document of the command in a frame without scripts.
import { ask, open, stop } from "./python.js";
import { listbox } from "./picker.js";
import { element as make } from "./state.js";

const SLOW = 1000; // milliseconds until a button to stop appears
const LEAST_SEEN = 200; // pixels of a result that are seen without scrolling
const KEPT = 50; // lines in the history
const FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/**
 * Add the command line to an element.
 * @param {HTMLElement} root
 * @param {{line?: string, onRun?: (line: string) => void}} options a line to show, and what to do with a line that ran
 */
export function mount(root, { line = "", onRun } = {}) {
  const input = /** @type {HTMLInputElement} */ (make("input", {
    id: "line", type: "text", role: "combobox", autocomplete: "off", autocapitalize: "off", spellcheck: false,
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "line-list", maxlength: "10000",
    placeholder: "fit llama3-8b --gpu h100 --solve seq", enterkeyhint: "go", oninput: complete, onblur: close,
  }));
  const list = make("ul", { id: "line-list", role: "listbox", "aria-label": "Completions", hidden: true });
  const runs = make("button", { type: "submit" }, "Run");
  const halts = make("button", { type: "button", hidden: true, onclick: stop }, "Stop");
  const chooser = /** @type {HTMLInputElement} */ (make("input", { id: "line-files", type: "file", multiple: true, onchange: () => { add([...chooser.files ?? []]); chooser.value = ""; } }));
  const form = make("form", { class: "line-form", onsubmit: (event) => { event.preventDefault(); run(); } },
    make("label", { for: "line" }, "llmcalc"), make("span", { class: "line-field" }, input, list), runs, halts);
  const help = make("p", { class: "line-help" },
    "Any command but verify and plan. Drop files here (config.json, .gguf, .safetensors, preset, engine log) to name them, or ",
    make("label", { for: "line-files" }, "choose files"), chooser, ".");
  const status = make("p", { class: "line-status", role: "status" });
  const result = make("div", { class: "line-result" });
  root.replaceChildren(form, help, status, result);
  input.value = line;

  /** @type {string[]} */ const files = [];
  /** @type {string[]} */ const history = [];
  /** @type {{text: string, help: string}[]} */ let items = [];
  let chosen = -1, start = 0, end = 0, place = 0;

  const { mark, expand } = listbox(input, list, accept);

  function close() {
    items = [];
    expand(false);
    chosen = -1;
  }

  async function complete() {
    const cursor = input.selectionStart ?? input.value.length;
    const found = await ask({ kind: "complete", line: input.value, cursor, files }, "complete");
    if (!found || document.activeElement !== input) return;
    const typed = input.value.slice(found.start, found.end);
    const isWhole = found.items?.length === 1 && found.items[0].text === typed;
    if (found.code || !found.items.length || isWhole) return close();
    ({ items, start, end } = found);
    list.replaceChildren(...items.map(({ text, help: note }, at) => make(
      "li", { role: "option", id: `line-option-${at}`, "aria-selected": "false" },
      make("b", {}, text), ...(note ? [" ", make("span", {}, note)] : []))));
    expand(true);
    chosen = -1;
  }

  function accept(at) {
    const { text } = items[at];
    const after = input.value.slice(end).replace(/^\S+/, "");
    input.value = `${input.value.slice(0, start)}${text}${after.startsWith(" ") ? "" : " "}${after}`;
    const cursor = start + text.length + 1;
    input.setSelectionRange(cursor, cursor);
    complete();
  }

  function recall(step) {
    place = Math.min(Math.max(place + step, 0), history.length);
    input.value = history[place] ?? "";
  }

  function show({ code, html, text }, typed) {
    const parts = [];
    if (text) parts.push(make("pre", { tabindex: "0", class: code ? "line-error" : "line-text" }, text));
    if (html) {
      const frame = /** @type {HTMLIFrameElement} */ (make("iframe", { id: "result", sandbox: "allow-same-origin", title: `Result of ${typed}` }));
      frame.srcdoc = html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${FRAME_POLICY}">`);
      frame.onload = () => new ResizeObserver(() => { // the document has no scripts, so its height is set from here
        const body = frame.contentDocument?.body;
        if (body && frame.isConnected) frame.style.height = `${Math.min(Math.ceil(body.getBoundingClientRect().height) + 2, 20000)}px`;
      }).observe(frame);
      parts.push(frame);
    }
    result.replaceChildren(...parts);
    result.classList.remove("old");
    if (result.getBoundingClientRect().top > innerHeight - LEAST_SEEN) form.scrollIntoView({ block: "start" });
    status.textContent = code > 1 ? "The command failed." : code ? "Done: the answer is no (exit code 1)." : "Done.";
  }

  async function run() {
    const typed = input.value.trim();
    close();
    if (!typed) return void (status.textContent = "Type a command such as params gpt2, or help for a list.");
    history.push(typed);
    place = history.splice(0, Math.max(history.length - KEPT, 0)) && history.length;
    status.textContent = "Computing …";
    result.classList.add("old");
    const timer = setTimeout(() => { halts.hidden = false; }, SLOW);
    const columns = Math.floor(result.clientWidth / 8);
    const answer = await ask({ kind: "run", line: typed, columns });
    clearTimeout(timer);
    halts.hidden = true;
    if (!answer) return void (status.textContent = "Stopped.");
    show(answer, typed);
    onRun?.(typed);
  }

  async function add(/** @type {File[]} */ given) {
    if (!given.length) return;
    const found = await open(...given.map((file) => ({ name: file.name, content: file })));
    if (!found || found.code) return void (status.textContent = found?.text ?? "Stopped.");
    const path = found.model;
    files.push(path, ...found.paths.filter((other) => other !== path));
    const value = input.value.trimEnd();
    input.value = value ? `${value} ${path} ` : `params ${path} `;
    status.textContent = `Opened ${found.paths.length === 1 ? path : `${found.paths.length} files as ${path}`}.`;
    input.focus();
  }

  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && items.length) mark(chosen = (chosen + step + (chosen < 0 && step < 0 ? 1 : 0) + items.length) % items.length);
    else if (step && event.key === "ArrowDown" && event.altKey) complete();
    else if (step) recall(step);
    else if (event.key === "Enter" && chosen >= 0) accept(chosen);
    else if (event.key === "Tab" && items.length && !event.shiftKey) accept(Math.max(chosen, 0));
    else if (event.key === "Escape" && items.length) close();
    else return;
    event.preventDefault();
  });
  for (const name of ["dragover", "drop"]) {
    root.addEventListener(name, (event) => {
      event.preventDefault();
      event.stopPropagation(); // a file dropped here is a word of the line, not the model of the page
      if (name === "drop") add([...event.dataTransfer?.files ?? []]);
    });
  }
  root.addEventListener("paste", (event) => {
    const given = [...event.clipboardData?.files ?? []];
    if (given.length) event.preventDefault(), add(given);
  });
  if (line) status.textContent = "Press Run to run this line.";
}
