// The page's side: registers the worker, and wakes it when a timer is due while the page is open.

import { hangableFetch } from './fetch.js';

/** How long a page waits until the worker answers its requests, in milliseconds. */
const CONTROL_MILLIS = 20_000;
/** The longest timer of a browser's. */
const TIMER_MILLIS_MAX = 2 ** 31 - 1;
/** How often the browser may wake the worker without a page, where it does so at all. */
const PERIOD_MILLIS = 15 * 60 * 1000;

/**
 * Registers the worker and resolves when it answers this page's requests under `base`. Pages call it each time
 * they load.
 */
export async function register({ worker = '/selvedge-worker.js', mount = '/selvedge', scope, type } = {}) {
  const workers = navigator.serviceWorker;
  if (!workers) {
    throw new Error('this browser has no Service Workers here: expected https, or localhost, and no private window');
  }
  const url = new URL(worker, document.baseURI);
  if (mount !== '/selvedge') url.searchParams.set('mount', mount);
  const registration = await workers.register(url, { type, scope, updateViaCache: 'none' });
  await workers.ready;
  const clock = new Clock(registration, mount);
  await controlled(workers, registration);
  registration.periodicSync?.register('selvedge', { minInterval: PERIOD_MILLIS }).catch(() => {});
  return {
    base: mount,
    registration,
    fetch: (path, init) => hangableFetch(`${mount}${path}`, init),
    stop: () => clock.stop(),
  };
}

/** Calls the worker when its next timer is due, when the network is back, and when the page is looked at. */
class Clock {
  #registration;
  #timer;
  #ended = new AbortController();

  constructor(registration, mount) {
    this.#registration = registration;
    const { signal } = this.#ended;
    navigator.serviceWorker.addEventListener(
      'message',
      ({ data }) => data?.selvedge === 'deadline' && data.mount === mount && this.#set(data.at),
      { signal },
    );
    navigator.serviceWorker.startMessages();
    addEventListener('online', () => this.#ring(), { signal });
    document.addEventListener('visibilitychange', () => document.hidden || this.#ring(), { signal });
    this.#ring();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#ended.abort();
  }

  #set(at) {
    clearTimeout(this.#timer);
    if (at === null) return;
    this.#timer = setTimeout(() => this.#ring(), Math.min(Math.max(at - Date.now(), 0), TIMER_MILLIS_MAX));
  }

  #ring() {
    this.#registration.active?.postMessage({ selvedge: 'drive' });
  }
}

/** Resolves when the worker gets this page's requests: not by itself on a first visit or a forced reload. */
async function controlled(workers, registration) {
  if (workers.controller) return;
  const taken = new Promise((resolve) => workers.addEventListener('controllerchange', resolve, { once: true }));
  registration.active.postMessage({ selvedge: 'claim' });
  let timer;
  const late = new Promise((_, reject) => {
    const words = `the worker ${registration.active.scriptURL} does not take this page: it lies outside ${registration.scope}`;
    timer = setTimeout(() => reject(new Error(words)), CONTROL_MILLIS);
  });
  await Promise.race([taken, late]);
  clearTimeout(timer);
}
