// A web site on a port of loopback: the package's files, the tests' pages, and whatever a test adds.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const DIST = process.env.SELVEDGE_DIST ?? join(ROOT, 'wasm/service-worker/npm/dist');
const PAGES = join(ROOT, 'tests/browser/pages');

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Serves until the test ends. `site.routes` maps a path to a function of (request, response). */
export async function site(test, { folders = [PAGES, DIST], port = 0 } = {}) {
  const routes = new Map();
  const requests = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://site');
    requests.push(`${request.method} ${pathname}`);
    const route = routes.get(pathname);
    if (route) return route(request, response);
    for (const folder of folders) {
      const path = join(folder, normalize(pathname.endsWith('/') ? `${pathname}index.html` : pathname));
      const found = await readFile(path).catch(() => null);
      if (found === null) continue;
      response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream', 'cache-control': 'no-cache' });
      return response.end(found);
    }
    response.writeHead(404).end('nothing here');
  });
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  const close = () => new Promise((closed) => (server.close(closed), server.closeAllConnections()));
  test.after(close);
  return { url: `http://localhost:${server.address().port}/`, port: server.address().port, routes, requests, close };
}
