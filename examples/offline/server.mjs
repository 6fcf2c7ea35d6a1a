// Serves the example: static files, nothing else. Everything that happens, happens in the browser.
//
//   npm start            http://localhost:8090
//   PORT=9000 npm start

import { createServer } from 'node:http';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const SITE = fileURLToPath(new URL('site/', import.meta.url));
/** The built package: of this repository, or installed by npm. */
const DIST = [
  process.env.SELVEDGE_DIST,
  fileURLToPath(new URL('../../wasm/service-worker/npm/dist/', import.meta.url)),
  fileURLToPath(new URL('node_modules/@selvedge/service-worker/dist/', import.meta.url)),
].find((path) => path && existsSync(join(path, 'selvedge.wasm')));
const PORT = Number(process.env.PORT ?? 8090);

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

if (!DIST) {
  console.error('The package is not built yet: run wasm/service-worker/build first.');
  process.exit(1);
}

const server = createServer(async ({ url }, response) => {
  const { pathname } = new URL(url, 'http://localhost');
  const path = normalize(pathname.endsWith('/') ? `${pathname}index.html` : pathname);
  const file = path.startsWith('/package/') ? join(DIST, path.slice('/package/'.length)) : join(SITE, path);
  try {
    const body = await readFile(file);
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'cache-control': 'no-cache' });
    response.end(body);
  } catch {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('There is nothing here.\n');
  }
});
server.listen(PORT, () => console.log(`http://localhost:${server.address().port}`));
