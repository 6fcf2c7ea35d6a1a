// Selvedge inside a Service Worker: `serve()` adds its listeners, and requests under the mount path are answered
// here. Everything else is left to other listeners and to the network.

import { answer } from './answer.js';
import { Driver } from './driver.js';
import { HangUps } from './hangup.js';
import { host } from './host.js';
import { Keeper, Unavailable } from './keeper.js';
import { Pages } from './pages.js';
import { Program } from './program.js';

/** The tag of background syncs. */
const TAG = 'selvedge';

/**
 * Adds Selvedge to this worker. To be called while the worker's script runs, not later: browsers hear only
 * listeners that are there from the start.
 */
export function serve({ mount = '/selvedge', database = 'selvedge', wasm = 'selvedge.wasm' } = {}) {
  if (!/^(\/[^/?#]+)+$/.test(mount)) {
    throw new TypeError(`expected a mount path such as "/selvedge", without a slash at its end, found "${mount}"`);
  }
  const program = new Program(new URL(wasm, self.location.href));
  const keeper = new Keeper(database, () => open(program, database, mount));
  const hangUps = new HangUps();
  const driver = new Driver(keeper, (at) => announce(at, mount));

  const on = (type, listener) => self.addEventListener(type, listener);
  const drive = (event) => {
    const driven = driver.run();
    event.waitUntil?.(driven);
  };

  on('install', (event) => event.waitUntil(program.store()));
  on('activate', (event) => event.waitUntil(program.tidy()));
  on('fetch', (event) => {
    if (!isMounted(event.request.url, mount)) return;
    const answered = answer(event, keeper, mount, hangUps);
    event.respondWith(answered);
    event.waitUntil(answered.then(() => driver.run()));
  });
  on('message', (event) => {
    if (event.data?.selvedge === 'drive') drive(event);
    if (event.data?.selvedge === 'hangup') hangUps.hear(event.data.id);
    if (event.data?.selvedge === 'claim') event.waitUntil(self.clients.claim());
  });
  on('periodicsync', (event) => event.tag === TAG && drive(event));
  on('sync', (event) => event.tag === TAG && drive(event));
  on('online', drive);
  // A trap of the module surfaces where no promise of ours catches it.
  on('error', ({ error }) => error instanceof WebAssembly.RuntimeError && keeper.trapped(error));
}

async function open(program, name, mount) {
  let server;
  let lost;
  const pages = await unavailable(
    Pages.open(name, (error) => {
      lost = error;
      server?.fail(error.message);
    }),
  );
  try {
    const { Server } = await unavailable(program.instantiate());
    server = await unavailable(Server.open(pages, host, mount));
  } catch (error) {
    pages.close();
    throw error;
  }
  if (lost) server.fail(lost.message);
  return { server, close: () => pages.close() };
}

/** Errors of opening are for clients: they say what a person can do. */
async function unavailable(promise) {
  try {
    return await promise;
  } catch (error) {
    throw new Unavailable(error.message, { cause: error });
  }
}

function isMounted(url, mount) {
  const { origin, pathname } = new URL(url);
  return origin === self.location.origin && (pathname === mount || pathname.startsWith(`${mount}/`));
}

/** Tells the pages when the next timer is due, so that one of them calls back then. */
async function announce(at, mount) {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  for (const page of pages) page.postMessage({ selvedge: 'deadline', mount, at });
  // Without pages the browser says itself when it is online again, where it can.
  if (!navigator.onLine) self.registration.sync?.register(TAG).catch(() => {});
}
