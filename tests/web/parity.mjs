// Reads {page, files, cases, texts} from standard input and prints the values of quantities and of single forms.
import { readFileSync } from "node:fs";

const { page, files, cases, texts } = JSON.parse(readFileSync(0, "utf8"));
const { evaluate } = await import(`${page}/forms.js`);
const { quantities } = await import(`${page}/quantities.js`);
const { memory } = await import(`${page}/memory.js`);
const sizesOf = (sizes) => Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, BigInt(size)]));
const found = {
  cases: cases.map(([model, settings]) => ({ ...quantities(files, model, settings), ...memory(files, model, settings) })),
  texts: texts.map(([text, sizes]) => evaluate(text, sizesOf(sizes))),
};
console.log(JSON.stringify(found, (_, value) => (typeof value === "bigint" ? String(value) : value)));
