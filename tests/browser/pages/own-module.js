// A site's own worker, a module, with Selvedge under another path and on another database.
import { serve } from '/worker.js';
serve({ mount: '/flows/v', database: 'flows' });

self.addEventListener('fetch', (event) => {
  if (new URL(event.request.url).pathname === '/own') event.respondWith(new Response('from the own worker'));
});
