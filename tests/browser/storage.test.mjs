// When the browser has no room, has cleared the site's storage, or holds a database of another version.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { call, expect, ready, save } from './support/api.mjs';
import { launch, limitStorage, profile, stopWorkers } from './support/browser.mjs';
import { site } from './support/site.mjs';

const WAITS = { wait: { worker: 'nobody' } };
/** What no compression makes smaller. */
const large = () => randomBytes(150_000).toString('base64');

test('a full storage is named, reads go on, and writes when there is room again', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await page.goto(`${url}bare.html`);
  // Before the database is first opened: Chromium remembers for a while how much room it had.
  const lift = await limitStorage(context, page, 8 << 20);
  await page.evaluate(() => window.start().then(() => {}));
  await save(page, 'waits', WAITS);
  const answered = [];
  let refusal;
  for (let number = 0; !refusal && number < 200; number += 1) {
    const id = `r${number}`;
    const answer = await call(page, 'POST', '/api/v1/runs', { id, workflow: 'waits', input: large() });
    if (answer.status === 201) answered.push(id);
    else refusal = answer;
  }
  assert.equal(refusal?.status, 503);
  assert.match(refusal.body.type, /\/problems\/unavailable$/);
  assert.match(refusal.body.detail, /no more storage.*nothing of the request was done/);
  assert.ok(refusal.headers['retry-after']);
  const listed = async () => (await expect(page, 200, 'GET', '/api/v1/runs?limit=200')).items.map(({ id }) => id).sort();
  assert.deepEqual(await listed(), [...answered].sort());
  await lift();
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'later', workflow: 'waits', input: large() });
  assert.deepEqual(await listed(), [...answered, 'later'].sort());
});

test('a cleared storage is named once, then the server starts anew', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, url);
  for (const stopped of [false, true]) {
    await save(page, 'waits', WAITS);
    await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'waits' });
    if (stopped) await stopWorkers(context, page);
    await page.evaluate(
      () =>
        new Promise((done, failed) => {
          const deleting = indexedDB.deleteDatabase('selvedge');
          deleting.onsuccess = done;
          deleting.onerror = failed;
        }),
    );
    if (!stopped) {
      const refusal = await call(page, 'GET', '/api/v1/runs/r1');
      assert.equal(refusal.status, 503);
      assert.match(refusal.body.detail, /cleared this site's storage/);
    }
    assert.equal((await call(page, 'GET', '/api/v1/runs/r1')).status, 404);
  }
});

test('a database of a newer program is left alone and named', async (t) => {
  const page = await withDatabase(t, (file) => sql(file, 'UPDATE migrations SET version = version + 1000'));
  for (const [method, body] of [['GET'], ['POST', { id: 'r2', workflow: 'waits' }]]) {
    const answer = await call(page, method, '/api/v1/runs', body);
    assert.equal(answer.status, 503);
    assert.match(answer.body.type, /\/problems\/unavailable$/);
    assert.match(answer.body.detail, /the database is of version \d+, and this program knows versions up to \d+/);
  }
});

test('a database of an older program is brought to this one', async (t) => {
  const first = await readFile(new URL('../../migrations/0001_initial.sql', import.meta.url), 'utf8');
  const page = await withDatabase(t, async (file) => {
    await rm(file);
    const record = 'CREATE TABLE migrations (version INTEGER NOT NULL PRIMARY KEY, applied_at INTEGER NOT NULL)';
    sql(file, `PRAGMA page_size = 4096; ${record}; INSERT INTO migrations VALUES (1, 0); ${first}`);
  });
  await save(page, 'waits', WAITS);
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'waits' });
});

test('a format of storage that a later program made is named', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, url);
  await save(page, 'waits', WAITS);
  await stopWorkers(context, page);
  await page.evaluate(writeDatabase, { format: 2, text: '' });
  const answer = await call(page, 'GET', '/api/v1/runs');
  assert.equal(answer.status, 503);
  assert.match(answer.body.detail, /of format 2, and this program knows format 1/);
});

/** A page whose worker finds the database that `change` has made of one with a run in it. */
async function withDatabase(t, change) {
  const directory = await mkdtemp(join(tmpdir(), 'selvedge-database-'));
  t.after(() => rm(directory, { recursive: true }));
  const file = join(directory, 'selvedge.db');
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, url);
  await save(page, 'waits', WAITS);
  await expect(page, 201, 'POST', '/api/v1/runs', { id: 'r1', workflow: 'waits' });
  await writeFile(file, await page.evaluate(readDatabase), 'base64');
  await change(file);
  await stopWorkers(context, page);
  await page.evaluate(writeDatabase, { format: 1, text: await readFile(file, 'base64') });
  return page;
}

function sql(file, text) {
  const script = 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.stdin.read()); c.commit()';
  execFileSync('python3', ['-c', script, file], { input: text });
}

/** Runs in the page: the database's file as base64. */
async function readDatabase() {
  const opened = await new Promise((done) => {
    const opening = indexedDB.open('selvedge');
    opening.onsuccess = () => done(opening.result);
  });
  const pages = await new Promise((done) => {
    const reading = opened.transaction('pages').objectStore('pages').getAll();
    reading.onsuccess = () => done(reading.result);
  });
  opened.close();
  return btoa(pages.map((page) => Array.from(page, (byte) => String.fromCharCode(byte)).join('')).join(''));
}

/** Runs in the page: puts a file in the place of the database's. */
async function writeDatabase({ format, text }) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const opened = await new Promise((done) => {
    const opening = indexedDB.open('selvedge');
    opening.onsuccess = () => done(opening.result);
  });
  const transaction = opened.transaction(['pages', 'meta'], 'readwrite');
  const [pages, meta] = ['pages', 'meta'].map((name) => transaction.objectStore(name));
  pages.clear();
  const count = bytes.length / 4096;
  for (let number = 0; number < count; number += 1) {
    pages.put(bytes.slice(number * 4096, (number + 1) * 4096), number);
  }
  meta.put({ format, sequence: 1, count }, 'head');
  await new Promise((done) => (transaction.oncomplete = done));
  opened.close();
}
