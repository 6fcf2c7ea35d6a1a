// What the module asks of the browser beside time and randomness: requests of `http` tasks, and a log. The
// module's side of this is `Host` in src/platform.rs.

import * as modules from './modules.js';

/** Why a request got no whole answer: `kind` is `network`, `request` or `too-long`. */
class FetchError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

export const host = {
  modules,

  async fetch(method, url, headers, body, bodyBytesMax, signal) {
    const request = outgoing(method, url, headers, body, signal);
    let answer;
    try {
      answer = await fetch(request);
    } catch (error) {
      throw network(error);
    }
    const list = [];
    for (const [name, value] of answer.headers) list.push(name, value);
    return { status: answer.status, headers: list, body: await whole(answer, bodyBytesMax) };
  },

  is_online() {
    return navigator.onLine;
  },

  log(level, message) {
    console[level](`selvedge: ${message}`);
  },
};

function outgoing(method, url, headers, body, signal) {
  if (!/^https?:/i.test(url)) throw new FetchError('request', `expected an http or https URL, found ${url}`);
  try {
    const request = new Headers();
    for (let index = 0; index < headers.length; index += 2) request.append(headers[index], headers[index + 1]);
    // No cookies: a task speaks for the workflow, not for who is logged in here.
    return new Request(url, { method, headers: request, body, signal, credentials: 'omit', cache: 'no-store' });
  } catch (error) {
    throw new FetchError('request', error.message);
  }
}

async function whole(answer, bytesMax) {
  const chunks = [];
  let length = 0;
  const reader = answer.body?.getReader();
  while (reader) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      throw network(error);
    }
    if (piece.done) break;
    length += piece.value.length;
    if (length > bytesMax) {
      reader.cancel().catch(() => {});
      throw new FetchError('too-long', `more than ${bytesMax} bytes`);
    }
    chunks.push(piece.value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function network(error) {
  const place = navigator.onLine ? '' : ' (the browser is offline)';
  return new FetchError('network', `${error.message}${place}`);
}
