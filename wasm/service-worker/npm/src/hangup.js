// How the worker learns that nobody waits for an answer any more.
//
// Chromium does not tell a worker that a page has aborted a request. So the package's own `fetch` says it by a
// message, with the request's id; and for a request that takes long, the worker looks now and then whether the tab
// that sent it is still there. Where a browser aborts the request's signal, that is heard as well.

/** How often the tab of a waiting request is looked for, in milliseconds. */
const LOOK_MILLIS = 2_000;
/** How many ids are kept of requests that hung up before they arrived. */
const EARLY_MAX = 100;

export const REQUEST_ID = 'x-request-id';

export class HangUps {
  #waiting = new Map();
  #early = new Set();

  /** Watches over a request: `gone` resolves when its client has hung up, `end` ends the watch. */
  watch({ request, clientId }) {
    const id = request.headers.get(REQUEST_ID);
    let hangUp;
    const gone = new Promise((resolve) => (hangUp = () => resolve()));
    if (request.signal.aborted || this.#early.delete(id)) hangUp();
    request.signal.addEventListener('abort', hangUp, { once: true });
    if (id) this.#waiting.set(id, hangUp);
    const look = async () => {
      if (!(await self.clients.get(clientId))) hangUp();
    };
    const timer = clientId ? setInterval(look, LOOK_MILLIS) : undefined;
    const end = () => {
      clearInterval(timer);
      if (this.#waiting.get(id) === hangUp) this.#waiting.delete(id);
    };
    return { gone, end };
  }

  /** A page says that it waits no longer for the request of this id. */
  hear(id) {
    const hangUp = this.#waiting.get(id);
    if (hangUp) {
      hangUp();
    } else if (this.#early.size < EARLY_MAX) {
      this.#early.add(id);
    }
  }
}
