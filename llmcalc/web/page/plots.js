// Charts that Python draws. Of their text, only known elements and attributes enter the page.
import { download, png } from "./share.js";
import { element } from "./state.js";

/** Charts in the order of the page. */
export const PLOTS = [
  ["memory_context", "Memory against context"], ["speed_context", "Speed against context"],
  ["users", "Throughput against speed"], ["roofline", "Roofline"], ["memory_batch", "Memory against batch size"],
];
/** Charts of a task. */
export const OF_TASK = { "": ["memory_context", "speed_context", "users", "roofline"], train: ["memory_context", "memory_batch"] };
/** A chart that is drawn on demand, because it takes seconds. */
export const FRONT = ["front", "Pareto front of all layouts"];
const ELEMENTS = new Set(["svg", "g", "title", "rect", "line", "text", "circle", "polyline", "path"]);
const ATTRIBUTES = new Set([
  "width", "height", "viewBox", "class", "role", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "points", "fill", "stroke",
  "stroke-dasharray", "text-anchor", "d", "opacity",
]);
const STYLED = /^(#[0-9a-f]{3,8}|none|currentColor|var\(--[a-z0-9]+\))$/;

/** Copy an SVG element that is known to be harmless, or return null. @param {Element} from */
function copied(from) {
  if (from.namespaceURI !== "http://www.w3.org/2000/svg" || !ELEMENTS.has(from.localName)) return null;
  const made = document.createElementNS("http://www.w3.org/2000/svg", from.localName);
  for (const { name, value } of from.attributes) {
    if (ATTRIBUTES.has(name) && (!["fill", "stroke"].includes(name) || STYLED.test(value))) made.setAttribute(name, value);
  }
  for (const node of from.childNodes) {
    const inside = node.nodeType === Node.TEXT_NODE ? document.createTextNode(node.data) : node.nodeType === 1 ? copied(node) : null;
    if (inside) made.append(inside);
  }
  return made;
}

/** Return a chart as an element, without its own heading, which the page has. @param {string} text */
export function picture(text) {
  const made = copied(new DOMParser().parseFromString(text, "image/svg+xml").documentElement);
  const heading = made?.querySelector(".heading");
  if (heading) {
    const top = Number(heading.getAttribute("y")) + 2, [, , width, height] = made.getAttribute("viewBox").split(" ").map(Number);
    heading.remove();
    made.setAttribute("viewBox", `0 ${top} ${width} ${height - top}`);
    made.setAttribute("height", String(height - top));
  }
  return made;
}

/** Make the places of the charts. @param {HTMLElement} into */
export function makePlots(into) {
  into.replaceChildren(...[...PLOTS, FRONT].map(([name, title]) => {
    const caption = element("figcaption", {}, element("h3", {}, title), element("p"), element("div", { className: "tools" }));
    const made = element("figure", { className: "plot" }, caption, element("div", { className: "canvas", role: "group", "aria-label": title },
      name === FRONT[0] ? null : element("p", { className: "soon" }, "Drawn when Python has started")));
    Object.assign(made.dataset, { name, title });
    return made;
  }));
}

/** Offer a chart on demand. @param {HTMLElement} into @param {() => void} search */
export function offerPlot(into, search) {
  showPlace(into, element("button", { type: "button", onclick: search }, "Search all layouts"));
  into.querySelector("p").textContent = "all layouts and formats, which takes seconds";
}

/** Show that a chart is computed. Return a function that shows the number of layouts. @param {HTMLElement} into @param {() => void} stop */
export function showSearch(into, stop) {
  const count = element("span", { className: "count" });
  showPlace(into, element("span", { role: "status" }, "Searching …"), count, element("button", { type: "button", onclick: stop }, "Stop"));
  return (tried) => { count.textContent = tried ? `${tried} layouts` : ""; };
}

/** Show elements in place of a chart. @param {HTMLElement} into @param {Node[]} own */
function showPlace(into, ...own) {
  into.querySelector(".tools").replaceChildren();
  into.querySelector(".canvas").replaceChildren(element("p", { className: "none" }, ...own));
}

/** Show a chart, or why there is none. @param {HTMLElement} into @param {any} chart @param {string} file */
export function showPlot(into, chart, file) {
  const [canvas, tools, about] = [".canvas", ".tools", "p"].map((each) => into.querySelector(each));
  const drawn = chart.svg ? picture(chart.svg) : null;
  const [first, ...more] = drawn ? chart.title.split(", ") : [""];
  about.textContent = more.join(", ");
  const isNamed = first && Object.values(OF_TASK).flat().includes(into.dataset.name) && more.length;
  into.querySelector("h3").textContent = isNamed ? first : into.dataset.title; // the axes depend on the model and the task
  canvas.replaceChildren(drawn ?? element("p", { className: "none" }, `No chart: ${chart.error ?? "it cannot be read"}.`));
  if (!drawn) return tools.replaceChildren();
  const name = `${file}-${into.dataset.name.replace("_", "-")}`, title = into.querySelector("h3").textContent;
  const make = (kind, act) => element("button", { type: "button", "aria-label": `Download ${title} as ${kind}`, onclick: act }, kind);
  tools.replaceChildren(
    make("SVG", () => download(`${name}.svg`, chart.svg, "image/svg+xml")), make("PNG", () => png(`${name}.png`, chart.svg)),
    make("CSV", () => download(`${name}.csv`, chart.csv, "text/csv")),
  );
}
