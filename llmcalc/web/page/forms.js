// A form is a text such as "t1=min(seq,64);?=4096-seq;2*t1*batch": definitions, guards (not negative) and the value.
// Forms for other sizes follow "|".
const F = {
  min: (...all) => all.reduce((a, b) => (b < a ? b : a)),
  max: (...all) => all.reduce((a, b) => (b > a ? b : a)),
  mod: (a, b) => ((a % b) + b) % b,
  floor: (a, b) => (a - F.mod(a, b)) / b,
  ceil: (a, b) => -F.floor(-a, b),
  log2: (n) => (n > 1n ? BigInt((n - 1n).toString(2).length) : 0n),
  sum: (n) => (n * (n + 1n)) / 2n,
  pairs(q, k, w = 0n) {
    const n = w ? F.min(F.max(w - k + q, 0n), q) : q;
    return n * (k - q) + F.sum(n) + (q - n) * w;
  },
  until: (n, z) => F.floor(n, z) * F.sum(z) + F.sum(F.mod(n, z)),
  chunk_pairs: (q, k, z) => F.until(k, z) - F.until(k - q, z),
};
const OPS = { "+": [1, (a, b) => a + b], "-": [1, (a, b) => a - b], "*": [2, (a, b) => a * b] };
const seen = new Map();

function parse(text) {
  const words = text.match(/\w+|\S/g);
  let at = 0;
  const atom = () => {
    const word = words[at] === "-" ? "0" : words[at++];
    if (word < ":") return ((n) => () => n)(BigInt(word));
    if (words[at] !== "(") return (v) => v[word];
    const all = [];
    do at++, all.push(read(0));
    while (words[at] === ",");
    at++;
    return (v) => F[word](...all.map((each) => each(v)));
  };
  const read = (least, a = atom()) => {
    const [rank, f] = OPS[words[at]] ?? [0];
    if (rank <= least) return a;
    at++;
    const b = read(rank);
    return read(least, (v) => f(a(v), b(v)));
  };
  return read(0);
}

const step = (text) => {
  const [form, name = ""] = text.split("=").reverse();
  return [name, parse(form)];
};

/** Returns the value of a form for BigInt sizes, or null if none is valid. */
export function evaluate(text, sizes) {
  if (!seen.has(text)) seen.set(text, text.split("|").map((each) => each.split(";").map(step)));
  for (const piece of seen.get(text)) {
    const v = { ...sizes };
    if (piece.every(([name, form]) => (v[name] = form(v)) >= 0n || name !== "?")) return v[""];
  }
  return null;
}
