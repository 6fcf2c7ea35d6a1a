// The module: stored when the worker is installed, so that it is there without a network, and compiled when it is
// first needed.

// What wasm-bindgen has made, as a function: each call gives exports with a state of their own.
import { glue } from 'selvedge-glue';

/** The SHA-256 of the module that this worker was built with. */
const SHA256 = WASM_SHA256;
const CACHE = 'selvedge';

export class Program {
  #url;
  #compiled = null;

  constructor(url) {
    this.#url = new URL(url);
    this.#url.searchParams.set('sha256', SHA256);
  }

  /** Stores the module. To be called when the worker is installed. */
  async store() {
    const cache = await caches.open(CACHE);
    if (!(await cache.match(this.#url))) await cache.put(this.#url, await this.#download());
  }

  /** Forgets the modules of other versions. To be called when the worker is activated. */
  async tidy() {
    const cache = await caches.open(CACHE);
    const path = this.#url.pathname;
    for (const { url } of await cache.keys()) {
      if (new URL(url).pathname === path && url !== this.#url.href) await cache.delete(url);
    }
  }

  /** A new instance of the module: its exports as classes. */
  async instantiate() {
    this.#compiled ??= this.#compile().catch((error) => {
      this.#compiled = null;
      throw error;
    });
    const module = await this.#compiled;
    const exports = glue();
    exports.initSync({ module });
    return exports;
  }

  async #compile() {
    const cache = await caches.open(CACHE);
    let stored = await cache.match(this.#url);
    if (!stored) {
      // The browser may drop caches: then the network has to help.
      await this.store();
      stored = await cache.match(this.#url);
    }
    return WebAssembly.compileStreaming(stored);
  }

  async #download() {
    const answer = await fetch(this.#url, { cache: 'no-cache' });
    if (!answer.ok) throw new Error(`the module ${this.#url.pathname} cannot be loaded: status ${answer.status}`);
    const bytes = await answer.arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    if (found !== SHA256) {
      throw new Error(
        `the module ${this.#url.pathname} is not the one of this worker: expected SHA-256 ${SHA256}, found ${found}`,
      );
    }
    return new Response(bytes, { headers: { 'content-type': 'application/wasm' } });
  }
}
