// A worker that is Selvedge and nothing else. Settings come in the query of its URL: `mount`, `database`, `wasm`.

import { serve } from './serve.js';

const settings = new URL(self.location.href).searchParams;
const given = ['mount', 'database', 'wasm'].filter((name) => settings.has(name));
serve(Object.fromEntries(given.map((name) => [name, settings.get(name)])));

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
