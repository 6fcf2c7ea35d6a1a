// A page as a worker by the ordinary protocol, long polls, and clients that go away.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { call, expect, ready, save } from './support/api.mjs';
import { launch, profile } from './support/browser.mjs';
import { site } from './support/site.mjs';

test('a page claims a task and completes it', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, url);
  await save(page, 'greeting', {
    greet: { worker: 'greetings', with: { name: '${{ input.name }}' } },
    shout: { needs: ['greet'], value: '${{ tasks.greet.output.text }}!' },
  });
  // The claim waits, and is answered by what the other tab starts.
  const claiming = call(page, 'POST', '/api/v1/tasks/claim', { worker_id: 'page', queues: ['greetings'], wait: '30s' });
  const other = await context.newPage();
  await ready(other, url);
  await expect(other, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'greeting', input: { name: 'Ada' } });
  const { body } = await claiming;
  assert.deepEqual(body.tasks.map(({ task, input }) => [task, input]), [['greet', { name: 'Ada' }]]);
  const [{ lease_id }] = body.tasks;
  await expect(page, 200, 'POST', `/api/v1/leases/${lease_id}/heartbeat`);
  await expect(page, 200, 'POST', `/api/v1/leases/${lease_id}/complete`, { output: { text: 'Hello, Ada' } });
  const shout = await expect(page, 200, 'GET', '/api/v1/runs/r1/tasks/shout');
  assert.equal(shout.output, 'Hello, Ada!');
});

test('a claim of a page that hangs up takes no task', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, url);
  await save(page, 'greeting', { greet: { worker: 'greetings' } });
  const ended = await page.evaluate(async () => {
    const controller = new AbortController();
    const { fetch } = await window.ready;
    const claim = fetch('/api/v1/tasks/claim', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ worker_id: 'gone', queues: ['greetings'], wait: '60s' }),
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 500);
    return claim.then(() => 'answered', (error) => error.name);
  });
  assert.equal(ended, 'AbortError');
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'greeting' });
  const claim = { worker_id: 'here', queues: ['greetings'], wait: '5s' };
  const { tasks } = await expect(page, 200, 'POST', '/api/v1/tasks/claim', claim);
  assert.deepEqual(tasks.map(({ attempt }) => attempt), [1]);
});

test('a claim of a tab that is closed takes no task', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const [page, gone] = [await context.newPage(), await context.newPage()];
  await ready(page, url);
  await ready(gone, url);
  await save(page, 'greeting', { greet: { worker: 'greetings' } });
  call(gone, 'POST', '/api/v1/tasks/claim', { worker_id: 'gone', queues: ['greetings'], wait: '60s' }).catch(() => {});
  await registered(page, 'gone');
  await gone.close();
  // The worker looks for the tabs of waiting requests every two seconds.
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'greeting' });
  const claim = { worker_id: 'here', queues: ['greetings'], wait: '5s' };
  const { tasks } = await expect(page, 200, 'POST', '/api/v1/tasks/claim', claim);
  assert.deepEqual(tasks.map(({ attempt }) => attempt), [1]);
});

test('a request that is larger than the server takes is refused, not read', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, url);
  const answer = await call(page, 'POST', '/api/v1/runs', { input: 'x'.repeat(5 << 20) });
  assert.equal(answer.status, 413);
  assert.match(answer.body.type, /body-too-large$/);
});

/** Waits until a worker's first claim has reached the server. */
async function registered(page, id) {
  while ((await call(page, 'GET', `/api/v1/workers/${id}`)).status !== 200) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
