/** Loads a file that is stored compressed, whether or not the server has declared this. @param {string} name */
export async function load(name) {
  const response = await fetch(`forms/${name}.json.gz`);
  if (!response.ok) throw new Error(`forms/${name}.json.gz: ${response.status}`);
  const data = await response.arrayBuffer();
  const [first, second] = new Uint8Array(data, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return JSON.parse(new TextDecoder().decode(data));
  return new Response(new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}
