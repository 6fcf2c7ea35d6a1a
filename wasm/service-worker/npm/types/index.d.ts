/** What a page may say when it registers the worker. */
export interface RegisterOptions {
  /** The worker's script. Default: `/selvedge-worker.js`. */
  worker?: string | URL;
  /** The path under which the server answers. Default: `/selvedge`. */
  mount?: string;
  /** As for `navigator.serviceWorker.register`. */
  scope?: string;
  /** `module` for a worker script that imports `@selvedge/service-worker/worker`. */
  type?: WorkerType;
}

/** A worker that answers this page. */
export interface Selvedge {
  /** The path under which the server answers, such as `/selvedge`. */
  readonly base: string;
  readonly registration: ServiceWorkerRegistration;
  /**
   * `fetch` of a path below `base`. Unlike the global `fetch`, it tells the worker when `init.signal` is aborted, so
   * that a claim or a long poll ends there too.
   */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Ends the page's part in firing timers. The worker stays registered. */
  stop(): void;
}

/** Registers the worker. Resolves when this page's requests are answered by it. */
export function register(options?: RegisterOptions): Promise<Selvedge>;
