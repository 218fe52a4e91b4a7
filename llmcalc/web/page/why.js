// Derivations of numbers: a tree that opens, with formulas, symbols and what the class of evidence means.
import { element } from "./state.js";

const OPEN = 2; // levels that are open at first

/** @param {any} node @param {number} depth */
function branch(node, depth) {
  const how = [...new Set([node.formula, node.substituted].filter(Boolean))].join(" = ");
  const line = [
    element("b", {}, node.label), " ", element("span", { className: "value", title: node.exact ? `${node.exact} ${node.unit}` : "" }, node.text),
    how ? element("code", {}, ` = ${how}`) : null, node.note ? element("small", {}, ` ${node.note}`) : null,
  ];
  if (!node.children?.length) return element("li", {}, ...line);
  const made = element("details", { open: depth < OPEN }, element("summary", {}, ...line));
  const fill = () => {
    if (made.children.length === 1) made.append(element("ul", {}, ...node.children.map((each) => branch(each, depth + 1))));
  };
  made.addEventListener("toggle", fill);
  if (depth < OPEN) fill();
  return element("li", {}, made);
}

/** @param {[string | Node, string | Node][]} rows */
export function definitions(rows) {
  return element("dl", { className: "symbols" }, ...rows.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
}

/** Show a derivation. @param {Element} into @param {any} found @param {string} evidence */
export function showDerivation(into, found, evidence) {
  if (found.error) return into.replaceChildren(element("p", { className: "loud" }, found.error.message));
  const coded = (rows) => rows.map(([name, text]) => [element("code", {}, name), text]);
  const parts = [element("ul", { className: "tree" }, branch(found.tree, 0))];
  if (found.symbols?.length) parts.push(definitions(coded(found.symbols)));
  if (found.forms?.length) {
    const rows = found.forms.map(([name, text]) => [name, element("code", {}, text)]);
    parts.push(element("h4", {}, "Closed form"), definitions(rows), definitions(coded(found.form_symbols)));
  }
  const meaning = found.classes?.[evidence];
  if (meaning) parts.push(element("p", {}, element("b", {}, evidence), `: ${meaning}.`));
  parts.push(...(found.notes ?? []).map((text) => element("p", {}, text)));
  into.replaceChildren(...parts);
}
