// One server at a time over the whole site: whoever holds the lock has the database open.
//
// The lock is an exclusive Web Lock. It is taken when a request first needs the server, and kept, since reading
// the database again costs time. A second worker (a new version of this one, or one of another scope) that wants
// the lock says so on a channel; then the holder lets long polls end, answers what it has begun, and lets go.
// Requests that come to it meanwhile stand in line for the lock, behind the other.

/** How long a request waits until another worker lets go, in milliseconds. */
const LOCK_MILLIS = 20_000;

/** The server cannot be had now, in words for a person. */
export class Unavailable extends Error {}

export class Keeper {
  #lock;
  #open;
  #channel;
  #tenure = null;

  /** `open` gives `{server, close}`: a server on a newly opened database, and what frees it. */
  constructor(name, open) {
    this.#lock = `selvedge:${name}`;
    this.#open = open;
    this.#channel = new BroadcastChannel(this.#lock);
    this.#channel.onmessage = () => this.#tenure?.then((tenure) => this.retire(tenure), () => {});
  }

  /** Runs `work` with the server. It is not retired before that has ended. */
  async use(work) {
    const tenure = await this.enter();
    try {
      return await Promise.race([work(tenure), tenure.broken]);
    } finally {
      tenure.leave();
    }
  }

  /** The server, to be left again by `leave`. */
  async enter() {
    for (;;) {
      const begun = (this.#tenure ??= this.#begin());
      try {
        const tenure = await begun;
        if (tenure.enter()) return tenure;
      } catch (error) {
        if (this.#tenure === begun) this.#tenure = null;
        throw error;
      }
      if (this.#tenure === begun) this.#tenure = null;
    }
  }

  /** Takes no more work for this server, and lets go of it once what it has begun is done. */
  retire(tenure) {
    if (!tenure.retire()) return;
    this.#tenure = null;
  }

  /** The instances cannot be trusted any more: the module has trapped. */
  async trapped(error) {
    const tenure = await this.#tenure?.catch(() => null);
    if (!tenure) return;
    this.#tenure = null;
    tenure.break(error);
  }

  async #begin() {
    const release = await this.#acquire();
    try {
      const opened = await this.#open();
      const tenure = new Tenure(opened, release);
      // Whoever was in line before this channel was listened to has not been heard.
      setTimeout(async () => {
        const { pending } = await navigator.locks.query();
        if (pending.some(({ name }) => name === this.#lock)) this.retire(tenure);
      });
      return tenure;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Waits for the lock and returns what releases it. */
  #acquire() {
    return new Promise((granted, refused) => {
      const held = () => new Promise((release) => granted(release));
      const signal = AbortSignal.timeout(LOCK_MILLIS);
      navigator.locks.request(this.#lock, { signal }, held).catch(() => {
        refused(new Unavailable('another worker of this site holds the database and does not let go; try again'));
      });
      this.#channel.postMessage('wanted');
    });
  }
}

/** The time of one server. */
class Tenure {
  server;
  /** Resolves when work that can stop is to stop. */
  stopped;
  /** Rejects when the module has trapped. */
  broken;
  #close;
  #release;
  #users = 0;
  #retiring = false;
  #stop;
  #break;

  constructor({ server, close }, release) {
    this.server = server;
    this.#close = close;
    this.#release = release;
    this.stopped = new Promise((resolve) => (this.#stop = resolve));
    this.broken = new Promise((_, reject) => (this.#break = reject));
    this.broken.catch(() => {});
  }

  enter() {
    if (!this.#retiring) this.#users += 1;
    return !this.#retiring;
  }

  leave() {
    this.#users -= 1;
    this.#endIfIdle();
  }

  /** False if it was retired before. */
  retire() {
    if (this.#retiring) return false;
    this.#retiring = true;
    this.server.end_waits();
    this.#stop();
    this.#endIfIdle();
    return true;
  }

  break(error) {
    this.#retiring = true;
    this.#break(error);
    this.#users = Infinity;
    this.#close();
    this.#release();
  }

  async #endIfIdle() {
    if (!this.#retiring || this.#users > 0) return;
    this.#users = Infinity;
    try {
      await this.server.close();
      this.server.free();
    } finally {
      this.#close();
      this.#release();
    }
  }
}
