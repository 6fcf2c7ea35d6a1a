// A real Chromium with a profile of its own, which outlives the browser when a test restarts it.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { existsSync } from 'node:fs';

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

/** A profile directory, removed with the test. */
export async function profile(test) {
  const directory = await mkdtemp(join(tmpdir(), 'selvedge-profile-'));
  test.after(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  return directory;
}

/** Starts the browser on a profile. */
export async function launch(test, directory, options = {}) {
  const executablePath = EXECUTABLES.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error(`no Chromium at ${EXECUTABLES.filter(Boolean)}: run scripts/setup chromium`);
  const context = await chromium.launchPersistentContext(directory, {
    executablePath,
    headless: true,
    args: FLAGS,
    ...options,
  });
  context.setDefaultTimeout(30_000);
  test.after(() => context.close().catch(() => {}));
  return context;
}
