// The architecture as blocks: a stack contains blocks, these contain layers, and each layer opens to what it declares.
import { element } from "./state.js";

/** Show the stacks of a model. @param {HTMLElement} into @param {any} found */
export function showBlocks(into, found) {
  into.replaceChildren(...found.stacks.map((stack) => element("div", { className: "stack" },
    element("h3", {}, found.stacks.length > 1 ? stack.name : found.title),
    element("p", { className: "quiet" }, stack.structure),
    element("div", { className: "flow" }, ...stack.inputs.map((each) => layer(each)), ...stack.blocks.map(block), ...stack.outputs.map((each) => layer(each))),
  )));
}

function block(one) {
  const times = one.count > 1 ? ` × ${one.count}` : "", where = one.count > 1 && one.places ? `layers ${one.places}` : "";
  const shared = one.shared ? "weights shared" : "";
  return element("section", { className: "block", "aria-label": `${one.name}${times}` },
    element("h4", {}, `${one.name}${times}`, element("span", {}, [where, shared, `${compact(one.params)} each`].filter(Boolean).join(" · "))),
    ...one.sublayers.map((sub) => element("div", { className: `sub${sub.residual ? " residual" : ""}${sub.parallel ? " parallel" : ""}` },
      ...sub.layers.map((each) => layer(each)))));
}

function layer(one) {
  const share = element("i", { className: "share", "aria-hidden": "true" });
  share.style.width = `${Math.max(100 * one.share, one.share ? 0.6 : 0)}%`;
  const made = element("details", { className: "layer" }, element("summary", {},
    element("b", {}, one.name), element("span", { className: "kind" }, one.kind),
    element("span", { className: "value" }, one.text || (one.params ? String(one.params) : "")), share));
  made.addEventListener("toggle", () => { if (made.children.length === 1) made.append(inside(one)); });
  return made;
}

function inside(one) {
  const tensors = one.tensors.map((each) => element("tr", {}, element("th", { scope: "row" }, element("code", {}, each.name)),
    element("td", {}, each.axes || "scalar"), element("td", {}, each.shape), element("td", {}, each.shared ? "shared" : each.params)));
  const head = element("tr", {}, ...["tensor", "axes", "shape", "parameters"].map((text) => element("th", { scope: "col" }, text)));
  const part = (title, ...found) => (found.length ? [element("p", { className: "part" }, title), ...found] : []);
  const code = (lines) => element("pre", { tabIndex: 0, "aria-label": "Equations" }, lines.join("\n"));
  return element("div", { className: "inside" },
    one.about ? element("p", {}, one.about) : null,
    element("p", { className: "quiet" }, [one.share ? `${(100 * one.share).toPrecision(3)} % of all parameters` : "",
      one.flops ? `${one.flops} FLOPs per block for the last token` : ""].filter(Boolean).join(" · ")),
    ...(one.equations.length ? part("Equations", code(one.equations)) : []),
    ...(one.axes.length ? part("Axes", element("dl", {}, ...one.axes.map(([letter, name, length, meaning]) => element("div", { title: meaning },
      element("dt", {}, element("code", {}, letter)), element("dd", {}, [name || meaning, length && `= ${length}`].filter(Boolean).join(" ")))))) : []),
    ...(tensors.length ? part("Tensors", element("div", { className: "wide", tabIndex: 0, role: "group", "aria-label": `Tensors of ${one.name}` },
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...tensors)))) : []),
    ...(one.state.length ? part("Cache", code(one.state)) : []));
}

const compact = (number) => new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 }).format(number);
