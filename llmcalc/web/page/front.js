// The Pareto front of all layouts, which is searched in pieces, so that sliders never wait for it.
import { FRONT, offerPlot, showPlot, showSearch } from "./plots.js";
import { state } from "./state.js";

const [NAME] = FRONT;
let shown = "", searched = "";
const now = () => JSON.stringify({ ...state, line: "", compare: [] });

/** Offer the search for a new state. A search for another state ends. @param {HTMLElement} into
 * @param {(panels: string[], more: object) => Promise<any>} panelsOf @param {() => string} file name of downloads */
export function offerFront(into, panelsOf, file) {
  if (shown === now() || searched === now()) return;
  shown = searched = "";
  offerPlot(into, () => search(into, panelsOf, file));
}

async function search(into, panelsOf, file) {
  const own = searched = now();
  const stop = () => { searched = ""; offerFront(into, panelsOf, file); into.querySelector("button").focus(); };
  const progress = showSearch(into, stop);
  while (own === searched && own === now()) {
    const { front } = await panelsOf(["front"], { width: Math.round(into.clientWidth) });
    if (own !== searched || own !== now()) return;
    if (front.tried === undefined) {
      [shown, searched] = [own, ""];
      return showPlot(into, front.chart ?? { error: front.error.message }, file());
    }
    progress(front.tried);
  }
}
