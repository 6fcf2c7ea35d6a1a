// Modules of `wasm` tasks under the browser's own WebAssembly. The contract with them is core's (docs/wasm-tasks.md);
// here they are made countable, compiled, kept, and called, each call in an instance of its own.

import { countable, DENIED, FUEL, Uncountable } from './fuel.js';

/** How many compiled modules are kept; those used last stay. */
const KEPT_MAX = 32;

/** Why a call gave no answer: `kind` is a case of `ModuleFailure` in core/src/module/mod.rs. */
class Failure extends Error {
  constructor(kind, message, found) {
    super(message);
    this.kind = kind;
    this.found = found;
  }
}

const kept = new Map();

/** Whether the browser takes a module; if not, why. */
export async function check(bytes, memoryBytesMax) {
  await compile(bytes, memoryBytesMax);
}

/** Calls a function and returns the bytes of its answer. Without `bytes`, only a module that is kept. */
export async function run(call, bytes) {
  const { digest, name, input, guest, fuel, memoryBytesMax, outputBytesMax } = call;
  let module = kept.get(digest);
  if (!module && !bytes) throw new Failure('not-loaded', 'the module is not compiled');
  module ??= await compile(bytes, memoryBytesMax);
  kept.delete(digest);
  kept.set(digest, module);
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value);
  return answer(module, { name, input, guest, fuel, outputBytesMax });
}

async function compile(bytes, memoryBytesMax) {
  try {
    return await WebAssembly.compile(countable(bytes, memoryBytesMax));
  } catch (error) {
    if (error instanceof Uncountable) throw new Failure('module', error.message);
    throw new Failure('module', `the module does not compile: ${error.message}`);
  }
}

function answer(module, { name, input, guest, fuel, outputBytesMax }) {
  let exports;
  const memory = () => new Uint8Array(exports.memory.buffer);
  try {
    exports = new WebAssembly.Instance(module, { selvedge: imports(guest, memory) }).exports;
    exports[FUEL].value = fuel;
    const at = exports.selvedge_alloc(input.length) >>> 0;
    if (at === 0 && input.length > 0) throw new Failure('memory', 'no room for the input');
    if (at + input.length > memory().length) {
      const words = `\`selvedge_alloc\` gave room for ${input.length} bytes at ${at}, outside of the memory`;
      throw new Failure('contract', words);
    }
    memory().set(input, at);
    if (typeof exports[name] !== 'function') {
      throw new Failure('module', `the module does not export \`${name}\` as it should`);
    }
    const packed = BigInt.asUintN(64, exports[name](at, input.length));
    const [start, length] = [Number(packed >> 32n), Number(packed & 0xffffffffn)];
    if (length > outputBytesMax) throw new Failure('too-long', 'the answer is too long', length);
    if (start + length > memory().length) {
      throw new Failure('contract', `the function's answer is ${length} bytes at ${start}, outside of its memory`);
    }
    return memory().slice(start, start + length);
  } catch (error) {
    throw failure(error, exports);
  }
}

/** What the module may ask. Each copies bytes and asks the guest. */
function imports(guest, memory) {
  const part = (at, length) => {
    const [start, end] = [at >>> 0, (at >>> 0) + (length >>> 0)];
    if (end > memory().length) {
      throw new Failure('contract', `the module names ${length >>> 0} bytes at ${start}, outside of its memory`);
    }
    return memory().subarray(start, end);
  };
  return {
    now: () => guest.now(),
    log: (stream, at, length) => guest.log(stream, part(at, length)),
    checkpoint_get(key, keyLength, to, room) {
      const value = guest.checkpoint(part(key, keyLength));
      if (!value) return -1;
      if (value.length <= room >>> 0) part(to, value.length).set(value);
      return value.length;
    },
    checkpoint_put: (key, keyLength, at, length) => guest.remember(part(key, keyLength), part(at, length)),
  };
}

/** What went wrong, in core's terms. */
function failure(error, exports) {
  if (error instanceof Failure) return error;
  if (error instanceof RangeError) {
    // An instance that gets no memory, or calls that are nested too deep.
    return exports ? new Failure('stack', error.message) : new Failure('memory', error.message);
  }
  if (!(error instanceof WebAssembly.RuntimeError)) return new Failure('host', error.message);
  if (exports?.[FUEL].value < 0n) return new Failure('fuel', error.message);
  if (exports?.[DENIED].value) return new Failure('memory', error.message);
  return new Failure('trap', error.message);
}
