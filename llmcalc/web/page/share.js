// Copies and downloads of a result.
import { element } from "./state.js";

/** Offer a file. @param {string} name @param {BlobPart} content @param {string} type */
export function download(name, content, type) {
  const href = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href, download: name.replace(/[^\w.-]+/g, "-") }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10000);
}

/** Offer a drawing as an image with twice its size. @param {string} name @param {string} svg */
export async function png(name, svg) {
  const image = new Image(), address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  image.src = address;
  await image.decode();
  const canvas = element("canvas", { width: 2 * image.width, height: 2 * image.height });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(address);
  canvas.toBlob((blob) => download(name, blob, "image/png"), "image/png");
}

/** Copy a text, and say so on the button. The text may come later, which browsers allow only in this form.
 * @param {HTMLElement} button @param {string | Promise<string>} text */
export async function copy(button, text) {
  const before = button.dataset.label ??= button.textContent;
  const blob = Promise.resolve(text).then((found) => new Blob([found], { type: "text/plain" }));
  try {
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = before; }, 1500);
}
