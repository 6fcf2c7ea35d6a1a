// The tests' worker: a puppet answers everything but the page and its scripts.

import { answer } from '../../../wasm/service-worker/npm/src/answer.js';
import { HangUps } from '../../../wasm/service-worker/npm/src/hangup.js';
import { Keeper } from '../../../wasm/service-worker/npm/src/keeper.js';
import { Program } from '../../../wasm/service-worker/npm/src/program.js';
import { Stores } from './stores.js';

/** What the site itself answers. */
const SITE = '/site/';

const hangUps = new HangUps();
const program = new Program(new URL('selvedge.wasm', self.location.href));
const keeper = new Keeper('puppet', async () => {
  const { PuppetServer } = await program.instantiate();
  return { server: new PuppetServer(new Stores()), close() {} };
});

self.addEventListener('install', (event) => event.waitUntil(program.store().then(() => self.skipWaiting())));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (origin !== self.location.origin || pathname.startsWith(SITE)) return;
  event.respondWith(answer(event, keeper, '', hangUps));
});
self.addEventListener('message', ({ data }) => data?.selvedge === 'hangup' && hangUps.hear(data.id));
