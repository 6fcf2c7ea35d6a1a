// A web site on a port of loopback: the package's files, the tests' pages, and whatever a test adds.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const DIST = process.env.SELVEDGE_DIST ?? join(ROOT, 'wasm/service-worker/npm/dist');
/** The tests' own site, built by `wasm/service-worker/build puppet`. */
export const PUPPET =
  process.env.SELVEDGE_PUPPET_SITE ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'service-worker/puppet/site');
const PAGES = join(ROOT, 'tests/browser/pages');

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};

/**
 * Serves until the test ends. `folders` lie at the root; `mounts` maps the start of a path to another folder, and
 * `routes`, in what is returned, a path to a function of (request, response).
 */
export async function site(test, { folders = [PAGES, DIST], mounts = {}, port = 0 } = {}) {
  const routes = new Map();
  const requests = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://site');
    requests.push(`${request.method} ${pathname}`);
    const route = routes.get(pathname);
    if (route) return route(request, response);
    const file = normalize(pathname.endsWith('/') ? `${pathname}index.html` : pathname);
    const mounted = Object.entries(mounts).find(([start]) => pathname.startsWith(start));
    const paths = mounted
      ? [join(mounted[1], file.slice(mounted[0].length))]
      : folders.map((folder) => join(folder, file));
    for (const path of paths) {
      const found = await readFile(path).catch(() => null);
      if (found === null) continue;
      const type = TYPES[extname(path)] ?? 'application/octet-stream';
      response.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache', 'service-worker-allowed': '/' });
      return response.end(found);
    }
    response.writeHead(404).end('nothing here');
  });
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  const close = () => new Promise((closed) => (server.close(closed), server.closeAllConnections()));
  test.after(close);
  return { url: `http://localhost:${server.address().port}/`, port: server.address().port, routes, requests, close };
}
