// Timers fire without a request, while a page is open.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { expect, reaches, ready, save } from './support/api.mjs';
import { launch, profile, stopWorkers } from './support/browser.mjs';
import { site } from './support/site.mjs';

/** How much later than due a timer may fire on a busy machine, in milliseconds. */
const LATE_MILLIS = 4_000;

for (const stopped of [false, true]) {
  test(`a sleep ends in time${stopped ? ', though the worker was stopped' : ''}`, async (t) => {
    const { url } = await site(t);
    const context = await launch(t, await profile(t));
    const page = await context.newPage();
    await ready(page, url);
    await save(page, 'nap', { nap: { sleep: '3s' }, done: { needs: ['nap'], value: 1 } });
    await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'nap' });
    if (stopped) {
      // The page must have heard when it is to call back.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await stopWorkers(context, page);
    }
    // Nobody asks: what fires the timer is the worker or the page.
    await new Promise((resolve) => setTimeout(resolve, 3_000 + LATE_MILLIS));
    const run = await expect(page, 200, 'GET', '/api/v1/runs/r1');
    assert.equal(run.status, 'completed');
    const took = Date.parse(run.finished_at) - Date.parse(run.started_at);
    assert.ok(took >= 3_000 && took < 3_000 + LATE_MILLIS, `it took ${took} ms`);
  });
}

test('an http task waits for the network and spends no attempt on its absence', async (t) => {
  const web = await site(t);
  web.routes.set('/echo', (request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{"there": true}');
  });
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, web.url);
  await save(page, 'asks', { ask: { http: { url: `${web.url}echo` } } });
  await context.setOffline(true);
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'asks' });
  await stopWorkers(context, page);
  await context.setOffline(true);
  for (let look = 0; look < 5; look += 1) {
    const task = await expect(page, 200, 'GET', '/api/v1/runs/r1/tasks/ask');
    assert.deepEqual([task.status, web.requests.includes('GET /echo')], ['ready', false]);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await context.setOffline(false);
  await reaches(page, 'r1', 'completed');
  const task = await expect(page, 200, 'GET', '/api/v1/runs/r1/tasks/ask');
  assert.deepEqual([task.attempt, task.output.status, task.output.body], [1, 200, { there: true }]);
});

test('an http task whose server is away is tried again as its policy says', async (t) => {
  const web = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, web.url);
  // Port 1 of loopback: nobody listens there, and the browser is online.
  const retry = { max_attempts: 2, delay: '100ms' };
  await save(page, 'asks', { ask: { http: { url: 'http://127.0.0.1:1/' }, retry } });
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'asks' });
  const run = await reaches(page, 'r1', 'failed');
  assert.equal(run.failure.category, 'system');
  assert.equal((await expect(page, 200, 'GET', '/api/v1/runs/r1/tasks/ask')).attempt, 2);
});
