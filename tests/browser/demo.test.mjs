// The example of examples/offline as a person meets it: started without a network, approved after the browser was
// closed and opened again, completed. Screenshots lie in tests/browser/artifacts.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { launch, profile } from './support/browser.mjs';

const EXAMPLE = fileURLToPath(new URL('../../examples/offline/', import.meta.url));
const ARTIFACTS = fileURLToPath(new URL('./artifacts/', import.meta.url));

test('a release is started offline, approved after a restart, and completes', async (t) => {
  await mkdir(ARTIFACTS, { recursive: true });
  const directory = await profile(t);
  const server = await start(t);
  const size = { viewport: { width: 900, height: 900 } };

  const first = await launch(t, directory, size);
  let page = await first.newPage();
  await page.goto(server.url);
  await page.getByRole('button', { name: 'Start' }).and(page.locator(':enabled')).waitFor();
  await shot(page, '1-ready');

  // From here on there is no network, and no web site either.
  await server.stop();
  await first.setOffline(true);
  await page.getByRole('status').filter({ hasText: 'Offline' }).waitFor();
  await page.getByLabel('What is to be released?').fill('Website 2.4');
  await page.getByRole('button', { name: 'Start' }).click();
  const run = page.getByRole('listitem').filter({ hasText: 'Website 2.4' });
  await run.getByRole('button', { name: 'Approve' }).waitFor();
  await shot(page, '2-started-offline');
  await first.close();

  const second = await launch(t, directory, size);
  await second.setOffline(true);
  page = await second.newPage();
  await page.goto(server.url);
  const again = page.getByRole('listitem').filter({ hasText: 'Website 2.4' });
  await again.getByRole('button', { name: 'Approve' }).waitFor();
  await shot(page, '3-after-the-restart');
  await again.getByRole('button', { name: 'Approve' }).click();
  await again.getByText('Website 2.4 is shipped, approved by you.').waitFor();
  assert.equal(await again.getByRole('button').count(), 0, 'there is nothing left to approve');
  await shot(page, '4-completed');

  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 390, height: 760 });
  await shot(page, '5-dark-and-small');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.ok(!wide, 'nothing is cut off on a phone');
});

function shot(page, name) {
  return page.screenshot({ path: `${ARTIFACTS}${name}.png` });
}

/** Runs `npm start` of the example on a free port. */
async function start(t) {
  const server = spawn('npm', ['start', '--silent'], {
    cwd: EXAMPLE,
    detached: true,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((exit) => server.once('exit', exit));
  const stop = async () => {
    // npm and the server are a process group.
    if (server.exitCode === null && server.signalCode === null) process.kill(-server.pid, 'SIGTERM');
    await exited;
  };
  t.after(stop);
  for await (const line of createInterface({ input: server.stdout })) {
    if (line.startsWith('http://')) return { url: `${line}/`, stop };
  }
  throw new Error('the example did not start');
}
