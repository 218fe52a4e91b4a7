// The service worker: keeps all files of one version, so that the page works offline and sends nothing on return.
// A new version is fetched whole, each file checked against its hash, before it replaces the old one.
importScripts("version.js");
const { VERSION, FILES } = self;
const SCOPE = `llmcalc ${self.registration.scope} `;
const CACHE = SCOPE + VERSION;

/** Fetch a file of this version. A copy in the browser's cache is used if the server confirms that it is current. */
async function keep(/** @type {Cache} */ cache, /** @type {string} */ name) {
  const request = new Request(new URL(name, self.registration.scope), { cache: "no-cache", integrity: FILES[name] });
  const answer = await fetch(request);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  await cache.put(request.url, answer);
}

self.addEventListener("install", (event) => event.waitUntil((async () => {
  const cache = await caches.open(CACHE);
  await Promise.all(Object.keys(FILES).map((name) => keep(cache, name))).catch(async (error) => {
    await caches.delete(CACHE); // a version is kept whole or not at all
    throw error;
  });
})()));

self.addEventListener("activate", (event) => event.waitUntil((async () => {
  const old = (await caches.keys()).filter((name) => name.startsWith(SCOPE) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
})()));

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || !url.href.startsWith(self.registration.scope)) return;
  url.hash = url.search = "";
  if (url.pathname.endsWith("/index.html")) url.pathname = url.pathname.slice(0, -"index.html".length);
  event.respondWith((async () => (await (await caches.open(CACHE)).match(url.href)) ?? fetch(event.request))());
});
