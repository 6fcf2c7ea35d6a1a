// Chromium on strings, for the conformance suite: requests come as lines of JSON on standard input, a page sends
// them to the tests' Service Worker, and answers go as lines to standard output. It ends with its input.
//
//   {"id": 1, "seat": 0, "method": "GET", "path": "/health", "headers": [["accept", "*/*"]], "body": "<base64>"}
//   {"id": 1, "status": 200, "headers": [["etag", "…"]], "body": "<base64>"}     or {"id": 1, "error": "…"}
//   {"abort": 1, "seat": 0}                                                      hangs up
//
// A seat is an origin of its own, with a worker and a database of its own. The first line says how many there are.
//
// usage: node bridge.mjs SEATS

import { createInterface } from 'node:readline';

import { launch, profile } from './support/browser.mjs';
import { PUPPET, site } from './support/site.mjs';

const ended = [];
// What the helpers of the tests take for a test.
const life = { after: (end) => ended.unshift(end) };

const seats = await open(Number(process.argv[2] ?? 1));
say({ seats: seats.length });

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  const page = seats[message.seat];
  if (message.abort !== undefined) {
    page.evaluate((id) => window.hangUp(id), message.abort).catch(() => {});
  } else {
    page.evaluate((message) => window.send(message), message).then(
      (answer) => say({ id: message.id, ...answer }),
      (error) => say({ id: message.id, error: error.message }),
    );
  }
}
for (const end of ended) await end();
process.exit();

async function open(count) {
  const context = await launch(life, await profile(life, 'memory'));
  const pages = Array.from({ length: count }, async () => {
    const { url } = await site(life, { mounts: { '/site/': PUPPET } });
    const page = await context.newPage();
    await page.goto(`${url}site/`);
    await page.evaluate(() => window.ready);
    await page.evaluate(inPage);
    return page;
  });
  return Promise.all(pages);
}

function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Runs in the page: defines what sends a request there. */
function inPage() {
  const sent = new Map();
  const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const encode = (bytes) => {
    let text = '';
    for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
    return btoa(text);
  };
  window.hangUp = (id) => sent.get(id)?.abort();
  window.send = async ({ id, method, path, headers, body }) => {
    const controller = new AbortController();
    sent.set(id, controller);
    try {
      const init = { method, headers, signal: controller.signal, redirect: 'manual' };
      if (body) init.body = decode(body);
      const answer = await hangableFetch(location.origin + path, init);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      return { status: answer.status, headers: [...answer.headers], body: encode(bytes) };
    } finally {
      sent.delete(id);
    }
  };
}
