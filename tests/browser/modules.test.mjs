// Modules of `wasm` tasks: how they are counted and bounded, without a browser, and a task in Chromium.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { countable } from '../../wasm/service-worker/npm/src/fuel.js';
import { check, run } from '../../wasm/service-worker/npm/src/modules.js';
import { expect, reaches, ready, save } from './support/api.mjs';
import { answer, assemble, indexOf, s32 } from './support/assemble.mjs';
import { launch, profile } from './support/browser.mjs';
import { DIST, site } from './support/site.mjs';

const [LOOP, END, BR, IF] = [[0x03, 0x40], [0x0b], [0x0c, 0], [0x04, 0x40]];
const NEVER = [0x00];
const FILL = [0x41, 0, 0x41, 0, 0x41, ...s32(65536), 0xfc, 11, 0];
const GROW_OR_TRAP = [0x41, ...s32(16), 0x40, 0, 0x41, ...s32(-1), 0x46, ...IF, ...NEVER, ...END];
const OUTPUT = '{"output":42}';

const FUNCTIONS = {
  answer: answer(0, OUTPUT.length),
  // (at << 32) | length: the input as it is.
  echo: [0x20, 0, 0xad, 0x42, 32, 0x86, 0x20, 1, 0xad, 0x84],
  spin: [...LOOP, ...BR, ...END, ...NEVER],
  fill: [...LOOP, ...FILL, ...BR, ...END, ...NEVER],
  grow: [...LOOP, ...GROW_OR_TRAP, ...BR, ...END, ...NEVER],
  trap: NEVER,
  outside: answer(0xfffffff0, 100),
  long: answer(0, 0x7fffffff),
  print: [0x41, 1, 0x41, ...s32(0), 0x41, 3, 0x10, 1, ...answer(0, OUTPUT.length)],
  print_outside: [0x41, 1, 0x41, ...s32(-8), 0x41, ...s32(100), 0x10, 1, ...answer(0, 1)],
  nest: [],
};
FUNCTIONS.nest = [0x20, 0, 0x20, 1, 0x10, indexOf(FUNCTIONS, 'nest')];
const MODULE = assemble(FUNCTIONS, { data: OUTPUT });

const printed = [];
const GUEST = {
  now: () => 7n,
  log: (stream, text) => printed.push([stream, Buffer.from(text).toString()]),
  checkpoint: () => undefined,
  remember: () => 0,
};
const CALL = {
  digest: 'the module of these tests',
  input: new TextEncoder().encode('{"a":1}'),
  guest: GUEST,
  fuel: 1_000_000n,
  memoryBytesMax: 4 << 20,
  outputBytesMax: 1 << 20,
};

test('calls end with an answer or with a failure that says why', async () => {
  await assert.rejects(run({ ...CALL, name: 'echo' }), { kind: 'not-loaded' });
  const rows = [
    ['answer', OUTPUT],
    ['echo', '{"a":1}'],
    ['print', OUTPUT],
    ['spin', { kind: 'fuel' }],
    ['fill', { kind: 'fuel' }],
    ['grow', { kind: 'memory' }],
    ['trap', { kind: 'trap' }],
    ['nest', { kind: 'stack' }, { fuel: 1n << 60n }],
    ['nest', { kind: 'fuel' }, { fuel: 1_000n }],
    ['outside', { kind: 'contract' }],
    ['print_outside', { kind: 'contract' }],
    ['long', { kind: 'too-long', found: 0x7fffffff }],
    ['nowhere', { kind: 'module' }],
    // What came before has left nothing behind.
    ['answer', OUTPUT],
  ];
  for (const [name, expected, limits] of rows) {
    const called = run({ ...CALL, name, ...limits }, MODULE);
    if (typeof expected === 'string') assert.equal(Buffer.from(await called).toString(), expected, name);
    else await assert.rejects(called, expected, name);
  }
  assert.deepEqual(printed, [[1, '{"o']]);
});

test('what is no module, or cannot be counted, is named', async () => {
  const rows = [
    [[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 10, 99], /ends in the middle/],
    [assemble({ odd: [0xfe, 0, 0] }), /instruction 0xfe/],
    [assemble({ odd: [0x06, 0x40] }), /instruction 0x6/],
    [assemble({ odd: [0x6a] }), /does not compile/],
    [assemble({ large: NEVER }, { pages: 100 }), /does not compile/],
  ];
  for (const [bytes, words] of rows) {
    await assert.rejects(check(Uint8Array.from(bytes), 4 << 20), { kind: 'module', message: words });
  }
});

test('a module of three megabytes is counted and still valid', async () => {
  const bytes = await readFile(join(DIST, 'selvedge.wasm'));
  assert.ok(await WebAssembly.compile(countable(bytes, 64 << 20)));
});

test('tasks of a module in Chromium, one of which never ends by itself', async (t) => {
  const { url } = await site(t);
  const context = await launch(t, await profile(t));
  const page = await context.newPage();
  await ready(page, url);
  const stored = await page.evaluate(async (bytes) => {
    const init = { method: 'PUT', headers: { 'content-type': 'application/wasm' }, body: Uint8Array.from(bytes) };
    return (await fetch('/selvedge/api/v1/modules/tool', init)).status;
  }, [...MODULE]);
  assert.equal(stored, 201);
  const retry = { max_attempts: 1 };
  for (const name of ['answer', 'spin', 'trap']) {
    await save(page, name, { call: { wasm: { module: 'tool', function: name }, retry } });
    await expect(page, 201, 'POST', '/api/v1/runs', { id: name, workflow: name });
  }
  await reaches(page, 'answer', 'completed');
  assert.equal((await expect(page, 200, 'GET', '/api/v1/runs/answer/tasks/call')).output, 42);
  assert.equal((await reaches(page, 'spin', 'failed', 120)).failure.code, 'wasm_fuel');
  assert.equal((await reaches(page, 'trap', 'failed')).failure.code, 'wasm_trap');
  await expect(page, 200, 'GET', '/health');
});
