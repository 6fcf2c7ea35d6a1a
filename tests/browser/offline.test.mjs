// Without a network, over reloads and restarts of the browser: what was answered is there.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { call, expect, reaches, ready, save } from './support/api.mjs';
import { launch, profile } from './support/browser.mjs';
import { site } from './support/site.mjs';

const APPROVAL = {
  approve: { signal: 'approval' },
  ship: { needs: ['approve'], value: 'shipped by ${{ tasks.approve.output.by }}' },
};

test('a run that was started offline is there after a reload', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, url);
  const info = await expect(page, 200, 'GET', '/api/v1/info');
  assert.equal(info.host, 'service-worker');
  await context.setOffline(true);
  await save(page, 'approval', APPROVAL);
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'approval' });
  await context.setOffline(false);
  await page.reload();
  await ready(page);
  const run = await expect(page, 200, 'GET', '/api/v1/runs/r1');
  assert.equal(run.status, 'running');
});

test('a run goes on after the browser was closed, with the web site gone', async (t) => {
  const web = await site(t);
  const directory = await profile(t);
  const first = await launch(t, directory);
  const page = await first.newPage();
  await ready(page, web.url);
  await save(page, 'approval', APPROVAL);
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'approval' });
  await first.close();
  const second = await launch(t, directory);
  const again = await second.newPage();
  await ready(again, web.url);
  await web.close();
  await expect(again, 202, 'POST', '/api/v1/runs/r1/signals/approval', { payload: { by: 'Ada' } });
  await reaches(again, 'r1', 'completed');
  const result = await expect(again, 200, 'GET', '/api/v1/runs/r1/tasks/ship');
  assert.equal(result.output, 'shipped by Ada');
});

test('two tabs see one database', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const [left, right] = [await context.newPage(), await context.newPage()];
  await ready(left, url);
  await ready(right, url);
  await save(left, 'approval', APPROVAL);
  await expect(left, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'approval' });
  // The one waits for what the other does.
  const waiting = call(right, 'GET', '/api/v1/runs/r1/result?timeout=30s');
  await expect(left, 202, 'POST', '/api/v1/runs/r1/signals/approval', { payload: { by: 'Ada' } });
  assert.equal((await waiting).status, 200);
  const starts = Array.from({ length: 20 }, (_, index) => [left, right][index % 2]).map((page, index) =>
    call(page, 'POST', '/api/v1/runs', { id: `s${index}`, workflow: 'approval' }),
  );
  for (const start of await Promise.all(starts)) assert.equal(start.status, 201);
  const list = await expect(right, 200, 'GET', '/api/v1/runs?limit=100');
  assert.equal(list.items.length, 21);
});
