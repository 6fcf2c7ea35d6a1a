// Prints what a WebAssembly module weighs, and what each crate in it does; fails if it is too heavy.
//
// usage: node scripts/sizes.mjs MODULE.wasm MODULE-WITH-NAMES.wasm
//
// The second module is the same with the names of its functions, by which their bytes are counted.

import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** What the module may weigh on its way to a browser. */
const BROTLI_BYTES_MAX = 1 << 20;
/** Crates with less than this share of the code are counted together. */
const SHARE_MIN = 0.004;

function main() {
  const [module, named] = process.argv.slice(2).map((path) => readFileSync(path));
  const brotli = brotliCompressSync(module, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: module.length } }).length;

  console.log('the module, in bytes');
  row('raw', module.length);
  row('gzip', gzipSync(module, { level: 9 }).length);
  row('brotli', brotli);

  const sections = split(named);
  const total = sections.filter(({ id }) => id !== 0).reduce((sum, { body }) => sum + body.length, 0);
  const data = sections.find(({ id }) => id === 11)?.body.length ?? 0;
  const parts = byCrate(sections);
  const share = (bytes) => Math.round((bytes / total) * brotli);
  const code = [...parts.values()].reduce((sum, bytes) => sum + bytes, 0);

  console.log('\nits code by crate, in bytes before compression, and about so many after brotli');
  const small = ['smaller crates', 0];
  for (const [name, bytes] of [...parts].sort(([, left], [, right]) => right - left)) {
    if (bytes < code * SHARE_MIN) small[1] += bytes;
    else row(name, bytes, share(bytes));
  }
  row(...small, share(small[1]));
  row('constant data', data, share(data));

  if (brotli > BROTLI_BYTES_MAX) {
    console.error(`the module has ${brotli} bytes after brotli, expected at most ${BROTLI_BYTES_MAX}`);
    process.exit(1);
  }
  console.log(`\n${brotli} bytes after brotli, at most ${BROTLI_BYTES_MAX} are allowed`);
}

function row(name, bytes, after) {
  console.log(`${name.padEnd(28)}${String(bytes).padStart(10)}${after === undefined ? '' : String(after).padStart(10)}`);
}

/** How many bytes of code each crate has; what is written in C counts as SQLite's. */
function byCrate(sections) {
  const names = functionNames(sections);
  const imported = imports(sections);
  const reader = new Reader(sections.find(({ id }) => id === 10).body);
  const parts = new Map();
  for (let left = reader.u32(), index = imported; left > 0; left -= 1, index += 1) {
    const length = reader.u32();
    reader.at += length;
    const crate = crateOf(names.get(index) ?? '');
    parts.set(crate, (parts.get(crate) ?? 0) + length);
  }
  return parts;
}

function crateOf(name) {
  // `<a::T as b::U>::f` belongs to the crate of T, `<&T as …>` and `<[T] as …>` too.
  const path = /^[<&[*()\s]*(?:mut |dyn |const )*([A-Za-z_][A-Za-z0-9_]*)::/.exec(name);
  if (path) return path[1];
  return name.includes('::') ? 'core' : 'sqlite (in C)';
}

function functionNames(sections) {
  const names = new Map();
  for (const { id, body } of sections) {
    if (id !== 0) continue;
    const reader = new Reader(body);
    if (reader.text() !== 'name') continue;
    while (reader.at < body.length) {
      const kind = reader.body[reader.at++];
      const end = reader.u32() + reader.at;
      for (let left = kind === 1 ? reader.u32() : 0; left > 0; left -= 1) {
        const index = reader.u32();
        names.set(index, reader.text());
      }
      reader.at = end;
    }
  }
  if (names.size === 0) throw new Error('the second module has no names');
  return names;
}

/** How many functions are imported: they come before those with code. */
function imports(sections) {
  const reader = new Reader(sections.find(({ id }) => id === 2)?.body ?? [0]);
  let functions = 0;
  for (let left = reader.u32(); left > 0; left -= 1) {
    reader.text();
    reader.text();
    const kind = reader.body[reader.at++];
    if (kind !== 0) throw new Error(`expected imports of functions alone, found one of kind ${kind}`);
    reader.u32();
    functions += 1;
  }
  return functions;
}

function split(bytes) {
  const reader = new Reader(bytes);
  reader.at = 8;
  const sections = [];
  while (reader.at < bytes.length) {
    const id = bytes[reader.at++];
    const length = reader.u32();
    sections.push({ id, body: bytes.subarray(reader.at, reader.at + length) });
    reader.at += length;
  }
  return sections;
}

class Reader {
  at = 0;

  constructor(body) {
    this.body = body;
  }

  u32() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.body[this.at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  text() {
    const length = this.u32();
    this.at += length;
    return Buffer.from(this.body.subarray(this.at - length, this.at)).toString();
  }
}

main();
