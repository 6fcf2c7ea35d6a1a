// Small WebAssembly modules for tests, from their instructions, by the binary format of the specification.

const I32 = 0x7f;
const I64 = 0x7e;
/** What a module may import, with the numbers of parameters and the result. */
const IMPORTS = [
  ['now', [], [I64]],
  ['log', [I32, I32, I32], []],
  ['checkpoint_get', [I32, I32, I32, I32], [I32]],
  ['checkpoint_put', [I32, I32, I32, I32], [I32]],
];

/** The index of the function `name` of a module with these functions, for `call`. */
export function indexOf(functions, name) {
  return IMPORTS.length + 1 + Object.keys(functions).indexOf(name);
}

/** A module of the contract: `functions` are bodies of `(i32, i32) -> i64` without their last `end`. */
export function assemble(functions, { data = '', pages = 2 } = {}) {
  const types = [...IMPORTS.map(([, from, to]) => [from, to]), [[I32], [I32]], [[I32, I32], [I64]]];
  const bodies = [
    // `selvedge_alloc`: always the same place.
    [0x41, ...s32(4096)],
    ...Object.values(functions),
  ];
  const exports = [
    ['memory', 2, 0],
    ['selvedge_alloc', 0, IMPORTS.length],
    ...Object.keys(functions).map((name) => [name, 0, indexOf(functions, name)]),
  ];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types.map(([from, to]) => [0x60, ...list(from.map((type) => [type])), ...list(to.map((type) => [type]))])),
    ...section(2, IMPORTS.map(([name], type) => [...text('selvedge'), ...text(name), 0, type])),
    ...section(3, bodies.map((_, index) => [index === 0 ? 4 : 5])),
    ...section(5, [[0, pages]]),
    ...section(7, exports.map(([name, kind, index]) => [...text(name), kind, index])),
    ...section(10, bodies.map((body) => sized([0, ...body, 0x0b]))),
    ...section(11, [[0, 0x41, 0, 0x0b, ...text(data)]]),
  ]);
}

/** A function's answer: so many bytes from there. */
export function answer(at, length) {
  return [0x42, ...s64((BigInt(at) << 32n) | BigInt(length))];
}

function section(id, items) {
  return [id, ...sized(list(items))];
}

function list(items) {
  return [...u32(items.length), ...items.flat()];
}

function sized(bytes) {
  return [...u32(bytes.length), ...bytes];
}

function text(words) {
  return sized([...new TextEncoder().encode(words)]);
}

function u32(value) {
  return value < 128 ? [value] : [(value & 127) | 128, ...u32(value >>> 7)];
}

export function s32(value) {
  return s64(BigInt(value));
}

function s64(value) {
  const signed = BigInt.asIntN(64, value);
  const last = signed >= -64n && signed < 64n;
  return last ? [Number(signed & 127n)] : [Number(signed & 127n) | 128, ...s64(signed >> 7n)];
}
