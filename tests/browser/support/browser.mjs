// A real Chromium with a profile of its own, which outlives the browser when a test restarts it.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { chromium } from 'playwright-core';

const EXECUTABLES = [process.env.SELVEDGE_CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'];

/** Nothing that speaks to the network by itself, and no sandbox: tests run as root in containers. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/** A profile directory, removed with the test; on request in memory, where nothing waits for a disk. */
export async function profile(test, place = 'disk') {
  const folder = place === 'memory' && existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = await mkdtemp(join(folder, 'selvedge-profile-'));
  test.after(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  return directory;
}

/** Starts the browser on a profile. */
export async function launch(test, directory, options = {}) {
  const context = await chromium.launchPersistentContext(directory, {
    executablePath: executable(),
    headless: true,
    args: FLAGS,
    ...options,
  });
  context.setDefaultTimeout(30_000);
  test.after(() => context.close().catch(() => {}));
  return context;
}

/**
 * Starts the browser so that `kill` ends all of its processes at once, as a crash of the machine would. Returns
 * `{context, kill}`.
 */
export async function launchToKill(test, directory) {
  const flags = [...FLAGS, '--headless', '--remote-debugging-port=0', `--user-data-dir=${directory}`, 'about:blank'];
  // A process group of its own, by which it is killed whole.
  const process_ = spawn(executable(), flags, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = new Promise((exit) => process_.once('exit', exit));
  const kill = async () => {
    if (process_.exitCode === null && process_.signalCode === null) process.kill(-process_.pid, 'SIGKILL');
    await exited;
  };
  test.after(kill);
  const browser = await chromium.connectOverCDP(await address(process_.stderr));
  return { context: browser.contexts()[0], kill };
}

/** Where the browser listens for us, as it says on its standard error. */
async function address(stream) {
  for await (const line of createInterface({ input: stream })) {
    const found = /DevTools listening on (ws:\S+)/.exec(line);
    if (found) return found[1];
  }
  throw new Error('the browser ended before it listened');
}

function executable() {
  const found = EXECUTABLES.find((path) => path && existsSync(path));
  if (!found) throw new Error(`no Chromium at ${EXECUTABLES.filter(Boolean).join(', ')}: run scripts/setup chromium`);
  return found;
}

/** Stops all Service Workers at once, as the browser does when it needs memory. */
export async function stopWorkers(context, page) {
  const session = await context.newCDPSession(page);
  await session.send('ServiceWorker.enable');
  await session.send('ServiceWorker.stopAllWorkers');
  await session.detach();
}

/** Limits what the page's site may store, in bytes, until the function that it returns is called. */
export async function limitStorage(context, page, quotaSize) {
  // The limit ends with the session.
  const session = await context.newCDPSession(page);
  await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(page.url()).origin, quotaSize });
  return () => session.detach();
}
