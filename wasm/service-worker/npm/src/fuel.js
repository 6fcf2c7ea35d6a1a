// Makes a module countable: a Service Worker has one thread, and nothing interrupts what runs in it.
//
// The module's code is rewritten before the browser compiles it. Each function and each round of a loop pays for
// its instructions out of a global, and traps when nothing is left; `memory.fill` and its kin pay by length. The
// memory is given a largest size, and a refused `memory.grow` is noted. Nothing else changes: the globals are added
// behind the module's own, so that no index moves.
//
// The encoding is that of the WebAssembly specification, "Binary Format", with its vector instructions. What is not
// known here is refused, since its length is not known either.

const SECTION = { memory: 5, global: 6, export: 7, code: 10 };
/** Sections that stand before that of the globals. */
const BEFORE_GLOBALS = [1, 2, 3, 4, 5, 13];
const PAGE_BYTES = 65536;
/** How many bytes a bulk instruction moves for the price of one instruction, as a power of two. */
const BULK_SHIFT = 3n;

/** The names of the exports that are added. */
export const FUEL = 'selvedge:fuel';
export const DENIED = 'selvedge:denied';

/** Bytes that are not a module, or one with instructions that are not known here. */
export class Uncountable extends Error {}

/** The module's bytes with counting in them, its memory at most so large. */
export function countable(bytes, memoryBytesMax) {
  const sections = split(bytes);
  const globals = new Reader(sections.find(({ id }) => id === SECTION.global)?.body ?? [0]);
  const first = globals.u32();
  const added = { fuel: first, scratch: first + 1, denied: first + 2 };
  const out = [Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])];
  const put = (id, body) => out.push(Uint8Array.of(id, ...u32(body.length)), body);
  let hasGlobals = false;
  for (const { id, body } of sections) {
    if (!hasGlobals && !BEFORE_GLOBALS.includes(id)) {
      put(SECTION.global, withGlobals(globals, first));
      hasGlobals = true;
    }
    if (id === SECTION.memory) put(id, bounded(body, memoryBytesMax));
    else if (id === SECTION.export) put(id, withExports(body, added));
    else if (id === SECTION.code) put(id, counted(body, added));
    else if (id !== SECTION.global) put(id, body);
  }
  return joined(out);
}

function split(bytes) {
  const reader = new Reader(bytes);
  reader.skip(8);
  const sections = [];
  while (!reader.ended()) {
    const id = reader.byte();
    const body = reader.take(reader.u32());
    if (id !== 0) sections.push({ id, body });
  }
  return sections;
}

function withGlobals(reader, count) {
  const [i64, i32, mutable, end] = [0x7e, 0x7f, 1, 0x0b];
  const own = [i64, mutable, 0x42, 0, end, i32, mutable, 0x41, 0, end, i32, mutable, 0x41, 0, end];
  return joined([u32(count + 3), reader.rest(), own]);
}

function withExports(body, { fuel, denied }) {
  const reader = new Reader(body);
  const count = reader.u32();
  const entry = (name, index) => [...u32(name.length), ...new TextEncoder().encode(name), 3, ...u32(index)];
  return joined([u32(count + 2), reader.rest(), entry(FUEL, fuel), entry(DENIED, denied)]);
}

/** The one memory of a module, at most so large. */
function bounded(body, bytesMax) {
  const reader = new Reader(body);
  const count = reader.u32();
  if (count !== 1) throw new Uncountable(`expected one memory, found ${count}`);
  const flags = reader.byte();
  if (flags > 1) throw new Uncountable('expected a memory of 32 bits that is not shared');
  const least = reader.u32();
  const own = flags === 1 ? reader.u32() : Infinity;
  const most = Math.min(own, Math.floor(bytesMax / PAGE_BYTES));
  // One that begins larger than it may become is refused when it is compiled.
  return Uint8Array.from([1, 1, ...u32(least), ...u32(most)]);
}

function counted(body, added) {
  const reader = new Reader(body);
  const count = reader.u32();
  const out = [u32(count)];
  for (let index = 0; index < count; index += 1) {
    const code = functionCode(reader.take(reader.u32()), added);
    out.push(u32(code.length), code);
  }
  return joined(out);
}

function functionCode(body, added) {
  const reader = new Reader(body);
  for (let groups = reader.u32(); groups > 0; groups -= 1) {
    reader.u32();
    reader.leb();
  }
  /** Pieces of the body, and between them points where so many instructions are paid. */
  const pieces = [];
  let start = 0;
  const cut = (piece) => {
    pieces.push(body.subarray(start, reader.at), piece);
    start = reader.at;
  };
  const point = () => {
    const price = { instructions: 1 };
    cut(price);
    return price;
  };
  // The point that pays for what comes, for each block that is open.
  const open = [point()];
  while (open.length > 0) {
    open.at(-1).instructions += 1;
    const before = reader.at;
    const kind = instruction(reader);
    if (kind === 'loop') open.push(point());
    else if (kind === 'block') open.push(open.at(-1));
    else if (kind === 'end') open.pop();
    else if (kind === 'grow') cut(noteRefusal(added));
    else if (kind === 'bulk') {
      pieces.push(body.subarray(start, before), payByLength(added));
      start = before;
    }
  }
  pieces.push(body.subarray(start));
  return joined(pieces.map((piece) => piece.instructions ? pay(piece.instructions, added) : piece));
}

/** Reads one instruction, and says what it is where that matters. */
function instruction(reader) {
  const code = reader.byte();
  if (code === 0x02 || code === 0x04) return reader.leb(), 'block';
  if (code === 0x03) return reader.leb(), 'loop';
  if (code === 0x0b) return 'end';
  if (code === 0x40) return reader.byte(), 'grow';
  if (code === 0x0e) return reader.lebs(reader.u32() + 1);
  if (code === 0x1c) return reader.lebs(reader.u32());
  if (code === 0x11 || code === 0x13) return reader.lebs(2);
  if ([0x0c, 0x0d, 0x10, 0x12, 0x3f, 0x41, 0x42, 0xd0, 0xd2].includes(code)) return reader.leb();
  if (code >= 0x20 && code <= 0x26) return reader.leb();
  if (code >= 0x28 && code <= 0x3e) return reader.place();
  if (code === 0x43) return reader.skip(4);
  if (code === 0x44) return reader.skip(8);
  if (code === 0xfc) return bulk(reader);
  if (code === 0xfd) return vector(reader);
  const plain = code <= 0x01 || code === 0x05 || code === 0x0f || code === 0x1a || code === 0x1b;
  if (plain || (code >= 0x45 && code <= 0xc4) || code === 0xd1) return undefined;
  throw new Uncountable(`the module has an instruction 0x${code.toString(16)}, which this host does not know`);
}

function bulk(reader) {
  const code = reader.u32();
  if (code <= 7) return undefined;
  // How many indices each has: from memory.init to table.fill.
  const indices = [2, 1, 2, 1, 2, 1, 2, 1, 1, 1][code - 8];
  if (indices === undefined) throw new Uncountable(`the module has an instruction 0xfc ${code}, which this host does not know`);
  reader.lebs(indices);
  return [8, 10, 11, 12, 14, 17].includes(code) ? 'bulk' : undefined;
}

function vector(reader) {
  const code = reader.u32();
  if (code <= 11 || code === 92 || code === 93) return reader.place();
  if (code === 12 || code === 13) return reader.skip(16);
  if (code >= 21 && code <= 34) return reader.skip(1);
  if (code >= 84 && code <= 91) return reader.place(), reader.skip(1);
  if (code <= 275) return undefined;
  throw new Uncountable(`the module has an instruction 0xfd ${code}, which this host does not know`);
}

// The instructions that are put in; `fuel < 0` traps.

function pay(price, { fuel }) {
  return [0x23, ...u32(fuel), 0x42, ...s64(BigInt(price)), 0x7d, 0x24, ...u32(fuel), ...trapIfEmpty(fuel)];
}

/** The length is on the stack and stays there. */
function payByLength({ fuel, scratch }) {
  const keep = [0x24, ...u32(scratch)];
  const length = [0x23, ...u32(scratch), 0xad, 0x42, ...s64(BULK_SHIFT), 0x88];
  const subtract = [0x23, ...u32(fuel), ...length, 0x7d, 0x24, ...u32(fuel)];
  return [...keep, ...subtract, ...trapIfEmpty(fuel), 0x23, ...u32(scratch)];
}

/** What `memory.grow` has answered is on the stack and stays there. */
function noteRefusal({ scratch, denied }) {
  const refused = [0x24, ...u32(scratch), 0x23, ...u32(scratch), 0x41, 0x7f, 0x46];
  return [...refused, 0x04, 0x40, 0x41, 1, 0x24, ...u32(denied), 0x0b, 0x23, ...u32(scratch)];
}

function trapIfEmpty(fuel) {
  return [0x23, ...u32(fuel), 0x42, 0, 0x53, 0x04, 0x40, 0x00, 0x0b];
}

/** Reads bytes from front to back. */
class Reader {
  at = 0;

  constructor(bytes) {
    this.bytes = Uint8Array.from(bytes);
  }

  ended() {
    return this.at >= this.bytes.length;
  }

  byte() {
    if (this.ended()) throw new Uncountable('the module ends in the middle');
    return this.bytes[this.at++];
  }

  take(length) {
    this.skip(length);
    return this.bytes.subarray(this.at - length, this.at);
  }

  skip(length) {
    this.at += length;
    if (this.at > this.bytes.length) throw new Uncountable('the module ends in the middle');
  }

  rest() {
    return this.bytes.subarray(this.at);
  }

  u32() {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Uncountable('the module has a number that is too long');
  }

  /** Passes over a number of any size. */
  leb() {
    while (this.byte() >= 0x80);
  }

  lebs(count) {
    for (let index = 0; index < count; index += 1) this.leb();
  }

  /** Passes over an alignment and an offset. */
  place() {
    if (this.u32() >= 64) throw new Uncountable('the module has several memories');
    this.leb();
  }
}

function u32(value) {
  const bytes = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return [...bytes, value];
}

function s64(value) {
  const bytes = [];
  for (; value >= 64n; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return [...bytes, Number(value)];
}

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
