/** Where the server answers and what it stands on. */
export interface ServeOptions {
  /** The path under which requests are answered. Default: `/selvedge`. */
  mount?: string;
  /** The name of the IndexedDB database. Default: `selvedge`. */
  database?: string;
  /** The module's URL, relative to the worker's script. Default: `selvedge.wasm`. */
  wasm?: string | URL;
}

/**
 * Adds Selvedge's listeners to this Service Worker. To be called while the worker's script runs. Requests outside of
 * the mount path are left to other listeners and to the network.
 */
export function serve(options?: ServeOptions): void;
