// What every driver of a database must do, played in Chromium on the driver over IndexedDB.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { launch, profile } from './support/browser.mjs';
import { PUPPET, site } from './support/site.mjs';

const ended = [];
const life = { after: (end) => ended.unshift(end) };
const { url } = await site(life, { mounts: { '/site/': PUPPET } });
const context = await launch(life, await profile(life));
const page = await context.newPage();
await page.goto(`${url}site/`);
await page.evaluate(() => window.ready);
after(async () => {
  for (const end of ended) await end();
});

const names = await page.evaluate(() => window.names());
test('there are cases', () => assert.ok(names.length >= 15, `${names.length} cases`));

for (const name of names) {
  test(name, () => page.evaluate((name) => window.play(name), name));
}

test('a case that fails says so', async () => {
  await assert.rejects(page.evaluate(() => window.play('no_such_case')), /there is no case no_such_case/);
});
