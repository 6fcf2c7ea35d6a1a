// `fetch` whose abort reaches the worker, see hangup.js.

import { REQUEST_ID } from './hangup.js';

/** As the global `fetch`; when `init.signal` is aborted, the worker drops the request too. */
export async function hangableFetch(input, init) {
  const request = new Request(input, init);
  if (!init?.signal) return fetch(request);
  const id = request.headers.get(REQUEST_ID) ?? crypto.randomUUID();
  request.headers.set(REQUEST_ID, id);
  const tell = () => navigator.serviceWorker.controller?.postMessage({ selvedge: 'hangup', id });
  init.signal.addEventListener('abort', tell, { once: true });
  try {
    return await fetch(request);
  } finally {
    init.signal.removeEventListener('abort', tell);
  }
}
