// The browser is killed while it writes: what was answered is there afterwards, whole, and so is what was not
// answered or nothing of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { expect, ready, save } from './support/api.mjs';
import { launchToKill, profile } from './support/browser.mjs';
import { site } from './support/site.mjs';

const ROUNDS = 6;
/** How many answers a round sees before the browser is killed. */
const ANSWERS = [3, 10, 25, 40, 60, 90];
/** Two tasks that complete at once and one that waits: several rows and events in each commit. */
const TASKS = {
  a: { value: '${{ input.n }}' },
  b: { needs: ['a'], value: '${{ tasks.a.output }}' },
  c: { needs: ['b'], worker: 'nobody' },
};

test(`nothing that was answered is lost in ${ROUNDS} kills`, async (t) => {
  const { url } = await site(t);
  const directory = await profile(t);
  const answered = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { context, kill } = await launchToKill(t, directory);
    const page = await context.newPage();
    await ready(page, url);
    if (round === 0) await save(page, 'three', TASKS);
    await check(page, answered);
    const before = answered.length;
    let seenEnough;
    const enough = new Promise((resolve) => (seenEnough = resolve));
    await page.exposeFunction('answered', (id) => {
      answered.push(id);
      if (answered.length - before >= ANSWERS[round]) seenEnough();
    });
    // It never ends by itself: eight starts are under way at any time.
    const broken = page.evaluate(startRuns, round);
    await Promise.race([enough, broken]);
    broken.catch(() => {});
    await kill();
    t.diagnostic(`round ${round}: killed after ${answered.length - before} answers`);
  }
  const { context } = await launchToKill(t, directory);
  const page = await context.newPage();
  await ready(page, url);
  await check(page, answered);
});

/** Every answered run is there, and every run that is there is whole. */
async function check(page, answered) {
  const found = [];
  let cursor;
  do {
    const list = await expect(page, 200, 'GET', `/api/v1/runs?limit=100${cursor ? `&cursor=${cursor}` : ''}`);
    found.push(...list.items);
    cursor = list.next_cursor;
  } while (cursor);
  const ids = new Set(found.map(({ id }) => id));
  for (const id of answered) assert.ok(ids.has(id), `run ${id} was answered and is lost`);
  for (const run of found) {
    assert.deepEqual([run.tasks.completed, run.tasks.ready], [2, 1], `run ${run.id}`);
    const { items } = await expect(page, 200, 'GET', `/api/v1/runs/${run.id}/events?sort=seq&limit=100`);
    assert.deepEqual(items.map(({ seq }) => seq), items.map((_, index) => index + 1), `history of run ${run.id}`);
    assert.equal(items.at(-1).type, 'task_ready', `history of run ${run.id}`);
  }
}

function startRuns(round) {
  const start = async (line) => {
    for (let number = 0; ; number += 1) {
      const id = `r${round}-${line}-${number}`;
      const answer = await fetch('/selvedge/api/v1/runs', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ id, workflow: 'three', input: { n: number } }),
      });
      if (answer.status === 201) window.answered(id);
    }
  };
  return Promise.all(Array.from({ length: 8 }, (_, line) => start(line)));
}
