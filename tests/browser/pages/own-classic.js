// A site's own worker, classic, with Selvedge beside what it does itself.
importScripts('/worker-classic.js');
Selvedge.serve();

self.addEventListener('fetch', (event) => {
  if (new URL(event.request.url).pathname === '/own') event.respondWith(new Response('from the own worker'));
});
