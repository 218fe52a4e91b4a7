// Models side by side.
import { combobox } from "./picker.js";
import { change, element, state } from "./state.js";

/** Make the place of the table and the field for another model. @param {HTMLElement} into
 * @param {() => import("./picker.js").Choice[]} choices */
export function makeColumns(into, choices) {
  const list = element("ul", { role: "listbox", id: "compared", "aria-label": "Models to compare", hidden: true });
  const input = element("input", {
    id: "compare-model", role: "combobox", "aria-expanded": "false", "aria-controls": "compared",
    placeholder: "Name of a model",
  });
  const field = element("div", { className: "add" }, element("label", { htmlFor: "compare-model" }, "Add a model to compare"),
    element("div", { className: "combo" }, input, list));
  combobox("model", input, list, choices, (name) => change({ compare: [...state.compare, name] }), false);
  into.replaceChildren(element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "Comparison" }), field);
}

/** Show the table. @param {HTMLElement} into @param {any} found */
export function showColumns(into, found) {
  const [place, field] = into.children;
  field.hidden = state.compare.length >= 3;
  if (!found || found.models.length < 2) return place.replaceChildren();
  const heads = found.models.map((model, at) => element("th", { scope: "col" }, model.title, at ? remove(at - 1, model.title) : null));
  const rows = found.rows.map((row) => element("tr", {}, element("th", { scope: "row" }, row.label), ...row.cells.map((cell, at) =>
    element("td", { title: cell?.title ?? "", className: row.best === at ? "best" : "" }, cell ? [cell.text, cell.after].filter(Boolean).join(" ") : found.models[at].error && row === found.rows[0] ? found.models[at].error : "–",
      cell?.note ? element("small", {}, cell.note) : null))));
  place.replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, element("td"), ...heads)), element("tbody", {}, ...rows)));
}

const remove = (at, title) => element("button", { type: "button", className: "link", "aria-label": `Remove ${title}`,
  onclick: () => change({ compare: state.compare.filter((_, index) => index !== at) }) }, "Remove");
