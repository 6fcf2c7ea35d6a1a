// From a request of the browser's to one of the module's, and back.

import { Unavailable } from './keeper.js';

/** A longer body is refused by the server, which need not see all of it for that. */
const BODY_BYTES_MAX = (4 << 20) + 1;
/** The statuses whose responses the Fetch standard gives no body. */
const NULL_BODY = [204, 205, 304];

/** Answers a request's event; never rejects. */
export async function answer(event, keeper, mount, hangUps) {
  const { request } = event;
  const watch = hangUps.watch(event);
  let tenure;
  try {
    const body = await readBody(request);
    tenure = await keeper.enter();
    const { server, broken } = tenure;
    const { pathname, search } = new URL(request.url);
    const headers = [...request.headers].flat();
    const handled = server.handle(request.method, pathname + search, headers, body, watch.gone);
    const answer = await Promise.race([handled, broken]);
    if (!answer) return Response.error();
    const left = () => leave(tenure, keeper);
    const response = respond(answer, left);
    if (answer.bytes) left();
    return response;
  } catch (error) {
    tenure?.leave();
    console.error(`selvedge: ${request.method} ${request.url}: ${error.message}`);
    return problem(error, mount);
  } finally {
    watch.end();
  }
}

/** A server that can write nothing any more has told so now, and makes room for the next. */
function leave(tenure, keeper) {
  if (tenure.server.failure() !== undefined) keeper.retire(tenure);
  tenure.leave();
}

function respond(answer, ended) {
  const { status, bytes } = answer;
  const headers = new Headers();
  const list = answer.headers;
  for (let index = 0; index < list.length; index += 2) headers.append(list[index], list[index + 1]);
  const body = bytes ?? stream(answer, ended);
  return new Response(NULL_BODY.includes(status) ? null : body, { status, headers });
}

/** A body that is pulled piece by piece. */
function stream(answer, ended) {
  return new ReadableStream({
    async pull(controller) {
      const piece = await answer.next();
      if (piece) {
        controller.enqueue(piece);
      } else {
        controller.close();
        ended();
      }
    },
    cancel() {
      answer.free();
      ended();
    },
  });
}

async function readBody(request) {
  const reader = request.body?.getReader();
  const chunks = [];
  let length = 0;
  while (reader && length < BODY_BYTES_MAX) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  const body = new Uint8Array(Math.min(length, BODY_BYTES_MAX));
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk.subarray(0, body.length - at), at);
    at += Math.min(chunk.length, body.length - at);
  }
  return body;
}

/** What cannot be answered by the server, because there is none. */
function problem(error, mount) {
  const retry = error instanceof Unavailable;
  const [slug, status, title] = retry
    ? ['unavailable', 503, 'The server cannot do it now']
    : ['internal', 500, 'A fault of the server'];
  const document = { type: `${mount}/problems/${slug}`, title, status, detail: error.message };
  const headers = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' };
  if (retry) headers['retry-after'] = '1';
  return new Response(JSON.stringify(document), { status, headers });
}
