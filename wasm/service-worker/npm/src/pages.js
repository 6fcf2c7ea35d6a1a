// The database's pages in IndexedDB: a record for each, and one that says how many there are.
//
// Every flush is one transaction of the strictest durability, and each checks and raises a stored number, so
// that a writer who has been overtaken, or whose database was cleared, writes nothing. The module's side of this
// is `PageStore` in src/database.rs.

const FORMAT = 1;
const PAGE_BYTES = 4096;
/** How many pages are read at once: 4 MiB. */
const CHUNK_PAGES = 1024;

const HEAD = 'head';

/** What is wrong with the place where the database lies, in words for a person. */
export class StorageError extends Error {
  name = 'StorageError';
  storage = true;
}

export class Pages {
  #database;
  #lost;

  /**
   * Opens the database of this name, or makes it. `lost` is called with a `StorageError` when nothing can be
   * written any more, once a flush has failed or the browser has taken the database away.
   */
  static async open(name, lost) {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore('pages');
      opening.result.createObjectStore('meta');
    };
    try {
      return new Pages(await done(opening), lost);
    } catch (error) {
      throw explained(error);
    }
  }

  constructor(database, lost) {
    this.#database = database;
    this.#lost = lost;
    const cleared = () => {
      database.close();
      lost(clearedAway());
    };
    // Somebody deletes the database, or the browser has cleared the site's storage.
    database.onversionchange = cleared;
    database.onclose = cleared;
  }

  async load() {
    const transaction = this.#database.transaction(['pages', 'meta']);
    const head = await done(transaction.objectStore('meta').get(HEAD));
    if (!head) return { sequence: 0, chunks: [] };
    if (head.format !== FORMAT) {
      throw new StorageError(
        `the stored database is of format ${head.format}, and this program knows format ${FORMAT}: use a newer one`,
      );
    }
    const pages = transaction.objectStore('pages');
    const chunks = [];
    for (let from = 0; from < head.count; from += CHUNK_PAGES) {
      const until = Math.min(from + CHUNK_PAGES, head.count);
      const found = await done(pages.getAll(IDBKeyRange.bound(from, until - 1)));
      if (found.length !== until - from) {
        throw new StorageError(`the stored database has lost pages between ${from} and ${until}: erase it to start anew`);
      }
      chunks.push(joined(found));
    }
    return { sequence: head.sequence, chunks };
  }

  async flush(sequence, count, numbers, bytes) {
    try {
      await this.#write(sequence, count, numbers, bytes);
    } catch (error) {
      const words = explained(error);
      this.#lost(words);
      throw words;
    }
  }

  close() {
    this.#database.onclose = this.#database.onversionchange = null;
    this.#database.close();
  }

  #write(sequence, count, numbers, bytes) {
    const transaction = this.#database.transaction(['pages', 'meta'], 'readwrite', { durability: 'strict' });
    return new Promise((resolve, reject) => {
      let reason;
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(reason ?? transaction.error ?? new Error('the transaction was aborted'));
      const pages = transaction.objectStore('pages');
      const meta = transaction.objectStore('meta');
      meta.get(HEAD).onsuccess = ({ target: { result: head } }) => {
        if ((head?.sequence ?? 0) !== sequence) {
          reason = head ? overtaken() : clearedAway();
          transaction.abort();
          return;
        }
        meta.put({ format: FORMAT, sequence: sequence + 1, count }, HEAD);
        numbers.forEach((number, index) => {
          // A copy: storing a view would store the buffer behind it, whole.
          pages.put(bytes.slice(index * PAGE_BYTES, (index + 1) * PAGE_BYTES), number);
        });
        if (head && count < head.count) pages.delete(IDBKeyRange.bound(count, head.count));
      };
    });
  }
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new StorageError('another version of this program holds the database open'));
  });
}

function joined(pages) {
  const chunk = new Uint8Array(pages.length * PAGE_BYTES);
  pages.forEach((page, index) => chunk.set(page, index * PAGE_BYTES));
  return chunk;
}

/** An error of IndexedDB's in words for a person, where a person can do something. */
function explained(error) {
  if (error instanceof StorageError) return error;
  if (error?.name === 'QuotaExceededError') {
    return new StorageError(
      "the browser gives this site no more storage: free some on the device, or delete what the site has stored",
      { cause: error },
    );
  }
  // The connection was closed under us.
  if (error?.name === 'InvalidStateError') return clearedAway();
  return new Error(`IndexedDB: ${error?.name}: ${error?.message}`, { cause: error });
}

function clearedAway() {
  return new StorageError(
    "the browser has cleared this site's storage and the database with it: the next request finds an empty one",
  );
}

function overtaken() {
  return new StorageError('another worker has written to the database: the next request reads it anew');
}
