// The page after its first paint: controls at once, then answers of Python, the verdict first.
import { explained, showAnswer, showError, showMemory } from "./answer.js";
import { BYTES } from "./build.js";
import { showBlocks } from "./blocks.js";
import { makeColumns, showColumns } from "./columns.js";
import { files, names, paint } from "./first.js";
import { instant } from "./instant.js";
import { fillLists, nameKnobs, showKnobs, startKnobs } from "./controls.js";
import { linkOf, nameOf, startOwn, unpacked } from "./own.js";
import { combobox } from "./picker.js";
import { offerFront } from "./front.js";
import { FRONT, OF_TASK, PLOTS, makePlots, showPlot } from "./plots.js";
import { ask, events, open, ready } from "./python.js";
import { load } from "./load.js";
import { copy, download, png } from "./share.js";
import { change, element, hashOf, onChange, state, unknown } from "./state.js";
import { showRecipes, showTraining, startTraining } from "./training.js";
import { showDerivation } from "./why.js";

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
let choices = [], titles = new Map(), shownModel = "", wanted = null, isBusy = false, facts = [], catalogue = null, isFirst = true, opened = "";

/** Load a style sheet. @param {string} href */
const styled = (href) => new Promise((done) => { document.head.append(element("link", { rel: "stylesheet", href, onload: done, onerror: done })); });
await Promise.all(["panels.css", "line.css"].map(styled)); // before anything that they arrange

/** Ask Python for panels of the state. @param {string[]} panels @param {object} [more] */
const panelsOf = async (panels, more = {}) => {
  const message = { kind: "answers", state: { ...state, panels, ...more } }, before = state;
  let found = await ask(message);
  if (!found) { // Python was stopped, and has closed the files that were open
    opened = "";
    await openLinked();
    found = (await ask({ ...message, state: { ...message.state, model: state.model } })) ?? { text: "The computation was stopped" };
  }
  if (before === state && found.state && found.state.gpu !== state.gpu) { // a link may spell it otherwise, as in h100:8
    change({ gpu: found.state.gpu, n: found.state.n, line: state.line }, false, unknown);
  }
  return found.panels ?? Object.fromEntries(panels.map((name) => [name, { error: found.error ?? { message: found.text, hint: "" } }]));
};

const preset = () => names.get(state.model) ?? state.model;
const titleOf = () => titles.get(preset()) ?? state.model;

/** Show the memory from closed forms at once: with a sentence if Python has not answered yet. */
function showInstant() {
  const found = instant(files, catalogue, state, preset(), titleOf());
  if (found && isFirst) showAnswer(found);
  else if (found) showMemory(found.memory);
}

/** Answer the newest state. A change during this begins again. @param {boolean} quick */
async function refresh(quick) {
  wanted = { quick };
  root.dataset.state = "python";
  $("verdict").setAttribute("aria-busy", String(quick));
  if (isBusy) return;
  isBusy = true;
  while (wanted) {
    const own = wanted;
    wanted = null;
    await verdict(own.quick);
    if (!own.quick) await panels();
  }
  isBusy = false;
  root.dataset.state = "ready";
}

/** Open the config of a link, if it is not open yet. */
async function openLinked() {
  if (!state.config || state.config === opened) return;
  opened = state.config;
  const text = await unpacked(opened).catch(() => ""), found = await open({ name: nameOf(text), content: text });
  change({ model: found?.model ?? "the config of the link" }, false, unknown);
}

async function verdict(quick) {
  await openLinked();
  const { verdict: found } = await panelsOf(["verdict"], { quick });
  isFirst = false;
  const notes = unknown.map((name) => `${name[0]} in the link: ${name[1]}`);
  if (found.error) return showFailure(found.error, notes);
  facts = found.facts;
  found.notes.unshift(...notes);
  showAnswer(found);
  const speed = facts.filter(({ why }) => why === "latency" || why === "time").map((each) => `${each.text} ${each.after}`);
  mini.textContent = [$("lead").textContent, ...speed, $("bar-text").textContent].join(" · ");
  mini.classList.toggle("loud", !found.fits);
  titles.set(preset(), found.title);
  showModel(state.model, found.title);
  document.title = `${found.title} on ${found.gpu} · llmcalc`;
  nameKnobs(found.only_reads);
  showPlaces(found.only_reads);
  showKnobs(found.longest);
}

/** Show the places of the charts of the task. @param {boolean} onlyReads */
function showPlaces(onlyReads) {
  plotOf(FRONT[0]).hidden = onlyReads || Boolean(state.task);
  for (const [name] of PLOTS) plotOf(name).hidden = !OF_TASK[state.task]?.includes(name);
}

/** Show an error. The list of models helps more than a command. @param {any} error @param {string[]} notes */
function showFailure(error, notes) {
  const hint = error.message.startsWith("unknown model") ? "choose a model from the list, or use your own config" : error.hint;
  showError({ ...error, hint }, notes);
  mini.textContent = "No answer";
  mini.classList.add("loud");
  document.title = "llmcalc";
}

async function panels() {
  const { commands } = await panelsOf(["commands"]);
  if (wanted) return;
  showCommands(commands.error ? [] : commands);
  if (commands.error) return;
  if (shownModel !== state.model) {
    const { blocks } = await panelsOf(["blocks"]);
    if (!blocks.error) showBlocks($("stacks"), blocks);
    else $("stacks").replaceChildren();
    shownModel = state.model;
  }
  for (const each of document.querySelectorAll(".fact[open]")) await derive(each);
  offerFront(plotOf(FRONT[0]), panelsOf, file);
  for (const name of OF_TASK[state.task] ?? []) {
    if (wanted) return;
    await plot(name);
  }
  if (wanted) return;
  if (state.task) {
    const { recipes } = await panelsOf(["recipes"]);
    if (!wanted) showRecipes(recipes);
  }
  if (wanted) return;
  const { comparison } = state.compare.length ? await panelsOf(["comparison"]) : { comparison: null };
  showColumns($("columns"), comparison?.error ? null : comparison);
}

const plotOf = (name) => document.querySelector(`.plot[data-name="${name}"]`);

/** Draw a chart in the width of its place. @param {string} name */
async function plot(name) {
  const into = plotOf(name), before = hashOf(state);
  const { charts } = await panelsOf(["charts"], { charts: [name], width: Math.round(into.clientWidth) });
  if (hashOf(state) === before) showPlot(into, charts[name] ?? { error: charts.error.message }, file());
}

const file = () => titleOf().replace(/[^\w.-]+/g, "-");

/** Show the derivation of a number. @param {Element} fact */
async function derive(fact) {
  const why = fact.dataset.why, { derivation } = await panelsOf(["derivation"], { quantity: why });
  showDerivation(fact.lastChild, derivation, facts.find((each) => each.why === why)?.evidence);
}

function showCommands(commands) {
  $("commands").replaceChildren(...commands.map(({ title, line }) => {
    const button = element("button", { type: "button", "aria-label": `Copy the command for ${title}`, onclick: () => copy(button, line) }, "Copy");
    return element("li", {}, element("span", {}, title), element("code", { tabIndex: 0 }, line), button);
  }));
}

/** @param {string} id @param {string} text @param {(button: HTMLElement) => unknown} act */
const action = (id, text, act) => element("button", { id, type: "button", onclick: ({ currentTarget }) => act(currentTarget) }, text);

const showModel = combobox("model", $("model"), $("models"), () => choices, (name) => change({ model: name, config: "" }));
$("actions").append(
  action("copy-link", "Copy link", (button) => copy(button, location.href.split("#")[0] + hashOf(state))),
  action("copy-command", "Copy command", (button) =>
    copy(button, panelsOf(["commands"]).then(({ commands }) => commands.map((each) => each.line).join("\n")))),
  action("copy-json", "Copy JSON", (button) => copy(button, panelsOf(["json"]).then(({ json }) => JSON.stringify(json, null, 2)))),
  element("span", { className: "grow" }),
  action("save-png", "PNG", async () => png(`${file()}.png`, (await panelsOf(["card"])).card)),
  action("save-svg", "SVG", async () => download(`${file()}.svg`, (await panelsOf(["card"])).card, "image/svg+xml")),
  action("save-csv", "CSV", async () => download(`${file()}.csv`, (await panelsOf(["csv"])).csv, "text/csv")),
);
$("facts").addEventListener("toggle", (event) => { if (event.target.open && event.target.matches(".fact")) derive(event.target); }, true);
startKnobs();
startTraining();
showTraining();
startOwn($("own"), async (files) => {
  const found = await open(...files);
  if (!found.model) return found.text ?? "The file cannot be read.";
  const { blocks } = await panelsOf(["blocks"], { model: found.model }); // an error leaves the dialog and the answer as they are
  if (blocks.error) return explained(blocks.error).map((text) => `${text}.`).join(" ");
  opened = await linkOf(files);
  change({ model: found.model, config: opened });
  return "";
});
makePlots($("plots"));
showPlaces(false);
nameKnobs(false);
offerFront(plotOf(FRONT[0]), panelsOf, file);
makeColumns($("columns"), () => choices);
showModel(state.model, titleOf());
showKnobs();
import("./line.js").then(({ mount }) => mount($("line-panel"), { line: state.line, onRun: (line) => change({ line }) }));
let asked = "";
onChange((changed, quick) => {
  const now = JSON.stringify({ ...changed, line: "", quick, unknown });
  if (now === asked) return; // only the command line differs
  asked = now;
  showKnobs();
  showTraining();
  if (changed.model !== $("model").dataset.name) showModel(changed.model, titleOf());
  showInstant();
  refresh(quick);
});

load("catalogue").then((found) => {
  catalogue = found;
  for (const { name, title, aliases } of found.models) {
    if (!titles.has(name)) titles.set(name, title);
    aliases.forEach((alias) => names.set(alias, name));
  }
  choices = found.models.map(({ name, title, year, aliases }) =>
    ({ name, title, note: String(year ?? ""), words: [title, name, ...aliases].join(" ").toLowerCase() }));
  fillLists(found);
  showModel(state.model, titleOf());
  paint();
  return load("memory");
}).then((found) => { files.memory = found; showInstant(); }).catch(() => {});

const mini = element("button", { id: "mini", type: "button", tabIndex: -1, hidden: true, "aria-hidden": "true", // for eyes only
  onclick: () => $("answer").scrollIntoView() });
document.body.append(mini);
const inView = new Set(); // the verdict again where a control changes it out of sight
const watch = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) inView[isIntersecting ? "add" : "delete"](target);
  mini.hidden = inView.has($("verdict")) || !inView.size;
});
[$("verdict"), ...document.querySelectorAll(".picks, .knobs")].forEach((each) => watch.observe(each));

let resized = 0, width = 0;
new ResizeObserver(([{ contentRect }]) => {
  if (Math.abs(contentRect.width - width) < 8) return;
  const isStart = !width;
  width = contentRect.width;
  clearTimeout(resized);
  if (!isStart) resized = setTimeout(() => refresh(false), 300);
}).observe($("plots"));

const starting = ({ detail: { loaded } }) => {
  const size = `${(loaded / 1e6).toFixed(1)} of ${(BYTES / 1e6).toFixed(1)} MB`;
  $("progress").textContent = loaded && loaded < BYTES ? `Python: ${size} …` : "Starting Python …";
};
events.addEventListener("progress", starting);
starting({ detail: { loaded: 0 } });
ready.then(() => {
  events.removeEventListener("progress", starting);
  $("progress").textContent = "";
  return refresh(false);
}, (reason) => {
  root.dataset.state = "error";
  $("progress").textContent = "";
  showError({ message: `Python cannot start: ${reason.message}`, hint: "" });
});
