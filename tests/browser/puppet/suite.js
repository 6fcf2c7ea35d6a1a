// The cases that every driver passes, played in a page, each on an instance of its own.

// What wasm-bindgen has made, as a function: each call gives exports with a state of their own.
import { glue } from 'selvedge-glue';
export { hangableFetch } from '../../../wasm/service-worker/npm/src/fetch.js';
import { Stores } from './stores.js';

const module = WebAssembly.compileStreaming(fetch('/site/selvedge.wasm'));

async function instance() {
  const exports = glue();
  exports.initSync({ module: await module });
  return exports;
}

export async function names() {
  return (await instance()).driver_cases();
}

/** Resolves when the case has passed; rejects with its panic. */
export async function play(name) {
  const exports = await instance();
  const words = [];
  const log = console.error;
  console.error = (...line) => words.push(line.join(' '));
  const panicked = new Promise((_, reject) => {
    const trap = ({ error, reason }) => reject(new Error(words.join('\n') || String(error ?? reason)));
    addEventListener('error', trap, { once: true });
    addEventListener('unhandledrejection', trap, { once: true });
  });
  try {
    await Promise.race([exports.run_driver_case(name, new Stores()), panicked]);
  } finally {
    console.error = log;
  }
}
