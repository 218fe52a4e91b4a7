// Models of one's own: pasted text, chosen files, and files that are dropped anywhere on the page.
import { element } from "./state.js";

const LARGEST = 2 ** 17; // characters of a config that a link may contain

/** Pack a text for a link. @param {string} text */
async function packed(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Unpack the text of a link. @param {string} code */
export async function unpacked(code) {
  const bytes = Uint8Array.from(atob(code.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let part = await reader.read(); !part.done && text.length < LARGEST; part = await reader.read()) text += decoder.decode(part.value, { stream: true });
  return text;
}

/** Return the name that a pasted text has as a file. @param {string} text */
export const nameOf = (text) => (text.trimStart().startsWith("{") ? "config.json" : "model.yaml");

/** Return a single config as the text of a link, or nothing if it is no text or too long. @param {any[]} files */
export async function linkOf([{ name, content }, ...more]) {
  if (more.length || !/\.(json|ya?ml)$/i.test(name) || (content.size ?? content.length) > LARGEST) return "";
  const code = await packed(typeof content === "string" ? content : await content.text());
  return code.length <= 8000 ? code : "";
}

const dialog = element("dialog", { id: "own-dialog", "aria-labelledby": "own-title" });

const named = (file) => ({ name: file.name, content: file });

/** Make the dialog. @param {HTMLElement} button @param {(files: {name: string, content: File | string}[]) => Promise<string>} use
 * shows the model and returns an error, if there is one */
export function startOwn(button, use) {
  const text = element("textarea", { id: "paste", rows: 11, spellcheck: false, autocapitalize: "off" });
  const file = element("input", { id: "file", type: "file", multiple: true, accept: ".json,.yaml,.yml,.gguf,.safetensors", "aria-label": "Files" });
  const error = element("p", { className: "loud", role: "alert" });
  const done = async (files) => {
    error.textContent = "Reading …";
    error.textContent = await use(files).catch((reason) => String(reason));
    if (!error.textContent && dialog.open) dialog.close();
  };
  const pasted = () => text.value.trim() && done([{ name: nameOf(text.value), content: text.value }]);
  dialog.append(
    element("h2", { id: "own-title" }, "Your own model"),
    element("p", { className: "quiet" }, "Paste a config.json or a preset in YAML, or choose a config.json, .gguf or .safetensors file. Only its header is read, and it stays in this tab."),
    element("label", { htmlFor: "paste" }, "config.json or YAML"), text,
    element("label", { htmlFor: "file" }, "or files, which you can also drop anywhere on the page"), file, error,
    element("div", { className: "actions" }, element("span", { className: "grow" }),
      element("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      element("button", { type: "button", className: "primary", id: "use", onclick: pasted }, "Use this model")),
  );
  document.body.append(dialog);
  file.addEventListener("change", async () => { if (file.files.length) await done([...file.files].map(named)); file.value = ""; });
  button.addEventListener("click", () => dialog.showModal());
  addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
  addEventListener("drop", async (event) => {
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    if (!dialog.open) dialog.showModal();
    await done(files.map(named));
  });
}
