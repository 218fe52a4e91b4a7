// Shows the verdict and the bar of the memory.
import { showEarly, showFacts, write } from "./first.js";
import { change, element } from "./state.js";
import { definitions } from "./why.js";

const $ = (id) => document.getElementById(id), root = document.documentElement;
const FIGURES = /(\$[\d.,]*\d[KMBT]?(?: to \$[\d.,]*\d[KMBT]?)?|[\d.,]+ (?:[KMGT]iB|tokens\/s|m?s|hours|days)\b(?!\)))/;
const SIGNS = { true: "✓ ", false: "✗ " };

/** Show an answer of Python, or of closed forms, which know the memory only. @param {any} answer */
export function showAnswer(answer) {
  root.classList.remove("failed");
  $("answer").classList.toggle("no", answer.fits === false);
  $("answer").classList.toggle("partly", answer.waiting > 0);
  write($("lead"), ((!answer.waiting && SIGNS[answer.fits]) || "") + answer.lead);
  showSentence(answer.text);
  write($("bar-title"), answer.gpu[0].toUpperCase() + answer.gpu.slice(1));
  if (answer.memory) showMemory(answer.memory);
  if (answer.isInstant) return showEarly("memory", ...answer.memory.needed_text.split(" "));
  showFacts(answer.facts, true);
  const classes = Object.keys(answer.classes).join();
  if ($("classes").dataset.names !== classes) $("classes").replaceChildren(element("summary", {}, "How certain these numbers are"),
    definitions(Object.entries(answer.classes)));
  $("classes").dataset.names = classes;
  $("notes").replaceChildren(...(answer.notes ?? []).map((text) => element("li", {}, text)));
  $("changes").replaceChildren(...(answer.changes ?? []).map((one) =>
    element("button", { type: "button", title: `${one.headroom} to spare`, onclick: () => change(one.set) }, `${one.lead} ${one.text}`)));
}

/** Show the sentence with its main figures in bold. @param {string} text */
function showSentence(text) {
  if ($("sentence").textContent === text) return;
  $("sentence").replaceChildren(...text.split(FIGURES).map((part, at) => (at % 2 ? element("b", {}, part) : part)));
}

/** Return the sentences of an error, without the folders of opened files. @param {{message: string, hint?: string}} error */
export const explained = ({ message, hint }) => [message, hint].filter(Boolean)
  .map((text) => capital(text.replaceAll(/\/files\/\d+\//g, "").replace(/\.$/, "")));
const capital = (text) => text.replace(/^[a-z](?=[a-z]*[\s'])/, (letter) => letter.toUpperCase()); // no name of a file

/** Show an error in place of the verdict and of all numbers, which would be those of another state.
 * @param {{message: string, hint: string}} error @param {string[]} notes */
export function showError({ message, hint }, notes = []) {
  root.classList.add("failed");
  $("answer").classList.add("no");
  write($("lead"), "No answer");
  write($("sentence"), explained({ message, hint }).map((text) => (text.endsWith("?") ? text : `${text}.`)).join(" "));
  $("notes").replaceChildren(...notes.map((text) => element("li", {}, text)));
  $("changes").replaceChildren();
}

/** Show the parts of the memory of a GPU against its size. @param {any} memory */
export function showMemory(memory) {
  const bar = $("bar"), isOver = memory.total > memory.size;
  const percent = (bytes) => `${(100 * bytes) / (isOver ? memory.total * 1.02 : memory.size)}%`;
  if (bar.children.length !== memory.parts.length + 1) {
    bar.replaceChildren(...memory.parts.map((_, at) => element("i", { className: `m${at}` })), element("b"));
  }
  memory.parts.forEach((part, at) => { bar.children[at].style.width = percent(part.bytes); });
  bar.lastChild.style.left = percent(memory.size);
  bar.classList.toggle("over", isOver);
  bar.classList.toggle("early", memory.size < memory.total / 4); // the label of the end stands on its right
  const replicas = memory.replicas > 1 ? `${memory.replicas} replicas` : "";
  write($("bar-text"), [`${memory.needed_text} of ${memory.size_text}`, memory.layout, replicas].filter(Boolean).join(" · "));
  const entries = memory.parts.map((part, at) => part.bytes && [part.title, part.text, `m${at}`]).filter(Boolean);
  if (!isOver) entries.push(["Free", memory.free_text, "free"]);
  bar.setAttribute("aria-label", `Memory per GPU: ${entries.map(([title, text]) => `${title} ${text}`).join(", ")}`);
  $("legend").replaceChildren(...entries.map(([title, text, kind]) =>
    element("li", {}, element("i", { className: kind }), element("span", {}, title), text)));
}
