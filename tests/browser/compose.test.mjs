// Selvedge beside another Service Worker's own work: two lines in its file.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, profile } from './support/browser.mjs';
import { site } from './support/site.mjs';

const WORKERS = [
  { options: { worker: '/own-classic.js' }, mount: '/selvedge' },
  { options: { worker: '/own-module.js', type: 'module', mount: '/flows/v' }, mount: '/flows/v' },
];

for (const { options, mount } of WORKERS) {
  test(`in ${options.worker}, mounted at ${mount}`, async (t) => {
    const web = await site(t);
    web.routes.set('/plain', (request, response) => response.end('from the network'));
    const context = await launch(t, await profile(t));
    const page = await context.newPage();
    await page.goto(`${web.url}bare.html`);
    const base = await page.evaluate((options) => window.start(options).then(({ base }) => base), options);
    assert.equal(base, mount);
    const rows = [
      ['/own', 200, /^from the own worker$/],
      ['/plain', 200, /^from the network$/],
      [`${mount}/health`, 200, /./],
      [`${mount}/api/v1/info`, 200, /"host":"service-worker"/],
      [`${mount}/nowhere`, 404, new RegExp(`"type":"${mount}/problems/unknown-route"`)],
      [`${mount}x`, 404, /^nothing here$/],
      ['/elsewhere/health', 404, /^nothing here$/],
    ];
    for (const [path, status, body] of rows) {
      const answer = await page.evaluate(async (path) => {
        const answer = await fetch(path);
        return { status: answer.status, body: await answer.text() };
      }, path);
      assert.equal(answer.status, status, path);
      assert.match(answer.body, body, path);
    }
  });
}

test('a mount path that is none is named when the worker starts', async (t) => {
  const web = await site(t);
  web.routes.set('/bad.js', (request, response) => {
    response.setHeader('content-type', 'text/javascript');
    response.end("importScripts('/worker-classic.js'); Selvedge.serve({ mount: '/x/' });");
  });
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await page.goto(`${web.url}bare.html`);
  const error = await page.evaluate(() => window.start({ worker: '/bad.js' }).catch(({ message }) => message));
  assert.match(error, /threw an exception|script evaluation failed|failed/i);
});
