// The state of the page, which is also its address: `#model=gpt2&users=16`. A link can only set these values.

/** @typedef {typeof DEFAULTS} State */
export const DEFAULTS = {
  model: "llama3.1-8b", gpu: "h100-sxm", n: 1, weights: "", kv: "", context: 8192, osl: 512, users: 16, task: "", method: "", optimizer: "", recompute: "", loss: "", batch: 1, tokens: "", mfu: "", compare: /** @type {string[]} */ ([]), line: "",
  config: "", // of a model of one's own, packed
};
const OTHER_NAMES = new Map([["count", "n"]]);
/** What the page ignores of the link: why, and the setting. @type {[string, string][]} */
export let unknown = [];
const MOST = { n: 16384, users: 1048576, context: 2 ** 30, osl: 2 ** 30, batch: 2 ** 20 };
const LONGEST = 400, LONGEST_CONFIG = 8000; // characters of a text in a link
const listeners = [];

/** Read a length such as `8k`, or return null. @param {string} text */
export function readNumber(text) {
  const found = /^\s*(\d{1,12}(?:\.\d+)?)\s*([kKmM]?)\s*$/.exec(text.replaceAll(",", ""));
  if (!found) return null;
  return Math.round(Number(found[1]) * { "": 1, k: 1024, m: 1048576 }[found[2].toLowerCase()]);
}

/** Return a valid value. */
function valid(name, value) {
  const usual = DEFAULTS[name];
  if (typeof usual === "number") {
    const number = typeof value === "number" ? value : readNumber(String(value));
    return number >= 1 ? Math.min(number, MOST[name]) : usual;
  }
  if (Array.isArray(usual)) {
    const all = Array.isArray(value) ? value : String(value).split(",");
    return all.map((each) => each.trim().slice(0, LONGEST)).filter(Boolean).slice(0, 3);
  }
  return String(value).slice(0, name === "config" ? LONGEST_CONFIG : LONGEST);
}

/** @param {string} hash @returns {State} */
export function readHash(hash) {
  const pairs = hash.includes("=") ? [...new URLSearchParams(hash.replace(/^#/, ""))] : [];
  const given = new Map(pairs.map(([name, value]) => [OTHER_NAMES.get(name) ?? name, value]));
  unknown = [...given].flatMap(([name, value]) => !Object.hasOwn(DEFAULTS, name) ? [["unknown setting", name.slice(0, 40)]]
    : typeof DEFAULTS[name] === "number" && !(readNumber(value) >= 1) ? [["invalid value", `${name}=${value.slice(0, 40)}`]] : []);
  return /** @type {State} */ (Object.fromEntries(
    Object.keys(DEFAULTS).map((name) => [name, given.has(name) ? valid(name, given.get(name)) : DEFAULTS[name]]),
  ));
}

/** Return the address of a state, without what is usual. @param {State} of */
export function hashOf(of) {
  const pairs = Object.entries(of).filter(([name, value]) => name === "model" ? !of.config : String(value) !== String(DEFAULTS[name]));
  const plain = (text) => encodeURIComponent(text).replaceAll("%2C", ",").replaceAll("%2F", "/");
  return "#" + pairs.map(([name, value]) => `${name}=${plain(value)}`).join("&");
}

/** @type {State} */
export let state = readHash(location.hash);

/** Change the state. @param {Partial<State>} changes @param {boolean} [quick] whether more changes follow at once
 * @param {string[]} [left] unknown settings of the link that are still shown */
export function change(changes, quick = false, left = []) {
  const own = Object.entries(changes).map(([name, value]) => [name, valid(name, value)]);
  state = { ...state, line: "", ...Object.fromEntries(own) }; // a command belongs to the state in which it ran
  unknown = left;
  if (!quick) history.replaceState(null, "", hashOf(state));
  listeners.forEach((each) => each(state, quick));
}

export function onChange(listener) {
  listeners.push(listener);
}

addEventListener("hashchange", () => {
  if (!location.hash.includes("=")) return history.replaceState(null, "", hashOf(state)); // a place in the page
  const before = String(unknown), found = readHash(location.hash);
  if (hashOf(found) !== hashOf(state) || String(unknown) !== before) state = found, listeners.forEach((each) => each(state, false));
});

/** Make an element. Texts never become markup. */
export function element(tag, own = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(own)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.includes("-")) made[name] = value;
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...inside.filter((each) => each !== null && each !== undefined && each !== ""));
  return made;
}
