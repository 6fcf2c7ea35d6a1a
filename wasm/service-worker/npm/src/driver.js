// What happens without a request: timers and `http` tasks, whenever the worker is awake.

/** How long one drive may take, in milliseconds: browsers end an event after five minutes. */
const DRIVE_MILLIS = 240_000;
/** How long the worker stays awake for a timer that is due soon; browsers stop an idle one after about 30 s. */
const REST_MILLIS = 20_000;

export class Driver {
  #keeper;
  #announce;
  #running = null;
  #again = false;
  #wake = () => {};

  /** `announce` is told when the next timer is due, in milliseconds since the epoch, or null. */
  constructor(keeper, announce) {
    this.#keeper = keeper;
    this.#announce = announce;
  }

  /** Drives until nothing is due and nothing will be soon. */
  run() {
    this.#again = true;
    this.#wake();
    this.#running ??= this.#loop().finally(() => (this.#running = null));
    return this.#running;
  }

  async #loop() {
    while (this.#again) {
      this.#again = false;
      let next;
      try {
        next = await this.#keeper.use(async ({ server, stopped }) => {
          const due = await server.drive(DRIVE_MILLIS, stopped);
          // One that has failed waits for a request, which is told why.
          return server.failure() === undefined ? due : undefined;
        });
      } catch (error) {
        console.warn(`selvedge: timers wait: ${error.message}`);
        return;
      }
      this.#announce(next ?? null);
      await this.#rest(next);
    }
  }

  /** Waits for a timer that is due soon, or until there is something to do. */
  async #rest(next) {
    const left = next === undefined ? Infinity : next - Date.now();
    if (this.#again || left > REST_MILLIS) return;
    let timer;
    await new Promise((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, Math.max(left, 0));
    });
    clearTimeout(timer);
    this.#again = true;
  }
}
