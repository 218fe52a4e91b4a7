// Names of models and GPUs: those of the generated table at once, and others by the same rule in Python.
import { names as presets } from "./first.js";
import { load } from "./load.js";
import { ask } from "./python.js";

/** @type {Promise<any> | null} */ let loaded = null;
/** Load the names of each kind, once. */
export const table = () => (loaded ??= load("names").catch(() => ({ model: {}, gpu: {} })));

/** Return the `name` and perhaps the `count` that a text means, or a `text` that says why it means none.
 * @param {"model" | "gpu"} of @param {string} text @returns {Promise<any>} */
export async function find(of, text) {
  const known = (await table())[of][text.toLowerCase()];
  if (!known) return ask({ kind: "name", of, text });
  if (of === "model") presets.set(text, known);
  return { name: of === "model" ? text : known }; // the name of a release, whose length may be another
}
