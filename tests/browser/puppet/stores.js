// Databases for tests: each new one is empty, and the one before it is gone.

import { Pages } from '../../../wasm/service-worker/npm/src/pages.js';

export class Stores {
  #last = null;

  async fresh() {
    if (this.#last) {
      this.#last.pages.close();
      indexedDB.deleteDatabase(this.#last.name);
    }
    const name = `test-${crypto.randomUUID()}`;
    const pages = await Pages.open(name, () => {});
    this.#last = { name, pages };
    return pages;
  }
}
