// This site's own Service Worker. Two lines make Selvedge part of it; the rest keeps the page itself for when there is
// no network.
importScripts('/package/worker-classic.js');
Selvedge.serve({ wasm: '/package/selvedge.wasm' });

const SHELL = ['/', '/style.css', '/app.js', '/desk.js', '/workflow.js', '/icon.svg', '/package/index.js'];

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open('shell').then((cache) => cache.addAll(SHELL)));
  self.skipWaiting();
});

// The network's page when there is one, so that a new version shows; the kept one otherwise.
self.addEventListener('fetch', (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (origin !== self.location.origin || !SHELL.includes(pathname)) return;
  event.respondWith(
    fetch(event.request).catch(async () => (await caches.match(pathname)) ?? Response.error()),
  );
});
