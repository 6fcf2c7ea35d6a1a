// Timers fire without a request, while a page is open.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { expect, ready, save } from './support/api.mjs';
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
