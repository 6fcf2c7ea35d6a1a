// Several workers on one database: a new version beside the old one, two scopes, and workers that the browser stops.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { call, expect, ready, reaches, save } from './support/api.mjs';
import { launch, profile, stopWorkers } from './support/browser.mjs';
import { DIST, site } from './support/site.mjs';

const WAITS = { approve: { signal: 'approval' }, done: { needs: ['approve'], value: 1 } };

test('a new version takes over from one that is answering', async (t) => {
  const web = await site(t);
  const worker = await readFile(join(DIST, 'selvedge-worker.js'), 'utf8');
  let version = 1;
  web.routes.set('/selvedge-worker.js', (request, response) => {
    response.setHeader('content-type', 'text/javascript');
    response.end(`${worker}\n// version ${version}`);
  });
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, web.url);
  await save(page, 'waits', WAITS);
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'waits' });
  // The old version is in the middle of an answer, and holds the database.
  const long = call(page, 'GET', '/api/v1/runs/r1/result?timeout=60s');
  for (let round = 0; round < 3; round += 1) {
    version += 1;
    await page.evaluate(async () => {
      const taken = new Promise((done) => navigator.serviceWorker.addEventListener('controllerchange', done, { once: true }));
      await (await window.ready).registration.update();
      await taken;
    });
    // Requests of both versions at once; each is answered.
    const starts = Array.from({ length: 8 }, (_, index) =>
      call(page, 'POST', '/api/v1/runs', { id: `s${round}-${index}`, workflow: 'waits' }),
    );
    for (const start of await Promise.all(starts)) assert.equal(start.status, 201, JSON.stringify(start.body));
  }
  assert.equal((await long).status, 408, 'a long poll ends with what it has');
  await expect(page, 202, 'POST', '/api/v1/runs/r1/signals/approval', {});
  await reaches(page, 'r1', 'completed');
  const list = await expect(page, 200, 'GET', '/api/v1/runs?limit=100');
  assert.equal(list.items.length, 25);
});

test('workers of two scopes take turns', async (t) => {
  const web = await site(t);
  const bare = await readFile(new URL('./pages/bare.html', import.meta.url));
  for (const path of ['/a/', '/b/']) {
    web.routes.set(path, (request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(bare);
    });
  }
  const context = await launch(t, await profile(t));
  const pages = [];
  for (const scope of ['/a/', '/b/']) {
    const page = await context.newPage();
    await page.goto(`${web.url}${scope.slice(1)}`);
    await page.evaluate((scope) => window.start({ scope }).then(() => {}), scope);
    pages.push(page);
  }
  await save(pages[0], 'waits', WAITS);
  for (let round = 0; round < 5; round += 1) {
    const starts = pages.flatMap((page, which) =>
      [0, 1, 2].map((index) =>
        call(page, 'POST', '/api/v1/runs', { id: `${which}-${round}-${index}`, workflow: 'waits' }),
      ),
    );
    for (const start of await Promise.all(starts)) assert.equal(start.status, 201, JSON.stringify(start.body));
  }
  for (const page of pages) {
    const list = await expect(page, 200, 'GET', '/api/v1/runs?limit=100');
    assert.equal(list.items.length, 30);
  }
});

test('a worker that the browser stops loses nothing', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, url);
  await save(page, 'waits', WAITS);
  const answered = [];
  for (let round = 0; round < 5; round += 1) {
    const starts = Array.from({ length: 6 }, async (_, index) => {
      const id = `r${round}-${index}`;
      // A request that dies with its worker has no answer, and nothing is known of it.
      const answer = await call(page, 'POST', '/api/v1/runs', { id, workflow: 'waits' }).catch(() => null);
      if (answer?.status === 201) answered.push(id);
    });
    await Promise.race(starts);
    await stopWorkers(context, page);
    await Promise.all(starts);
  }
  assert.ok(answered.length >= 5);
  for (const id of answered) await expect(page, 200, 'GET', `/api/v1/runs/${id}`);
});
