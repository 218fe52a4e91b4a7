// Models of one's own: pasted text, chosen files, and files that are dropped anywhere on the page.
import { element } from "./state.js";

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
  const pasted = () => text.value.trim() && done([{ name: text.value.trim().startsWith("{") ? "config.json" : "model.yaml", content: text.value }]);
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
