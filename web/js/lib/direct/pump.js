// @ts-check
/**
 * Takes what comes, one thing ahead of whoever reads, so that an end or an error shows although nobody reads.
 *
 * While nobody waits for the next thing, nothing holds the pump: a socket that a page has forgotten is
 * collected, and `forget` is called.
 */

/** Those that somebody waits for. @type {Set<Pump<any>>} */
const awaited = new Set();

/** @type {FinalizationRegistry<() => void>} */
const forgotten = new FinalizationRegistry((forget) => forget());

/** @template T */
export class Pump {
  #take;
  /** What has come, and was not handed on. @type {{ value: T } | undefined} */
  #ahead;
  /** @type {(() => void) | undefined} */
  #came;
  #taking = false;
  #over = false;

  /** Called once, when what comes has failed. @type {(error: unknown) => void} */
  onFailure = () => undefined;

  /**
   * @param {() => Promise<T>} take Takes the next thing. It must not hold what holds the pump, nor may a function
   *   that was made in the same scope, since functions of one scope hold what any of them does.
   * @param {() => void} forget Called when the pump was collected. The same holds for it.
   */
  constructor(take, forget) {
    this.#take = take;
    forgotten.register(this, forget, this);
  }

  /** Takes the next thing, where there is none yet. */
  start() {
    if (this.#taking || this.#ahead || this.#over) {
      return;
    }
    this.#taking = true;
    const weak = new WeakRef(this);
    this.#take().then(
      (value) => {
        const pump = weak.deref();
        if (pump) {
          pump.#took({ value });
        }
      },
      (error) => {
        const pump = weak.deref();
        if (pump) {
          pump.#failed(error);
        }
      },
    );
  }

  /** The next thing; undefined where there will be none, since it was stopped or has failed. */
  async next() {
    while (!this.#ahead && !this.#over) {
      this.start();
      awaited.add(this);
      await /** @type {Promise<void>} */ (new Promise((resolve) => {
        this.#came = resolve;
      }));
      awaited.delete(this);
    }
    const ahead = this.#ahead;
    this.#ahead = undefined;
    return ahead;
  }

  /** Hands on no more; gives what had come. */
  stop() {
    this.#over = true;
    forgotten.unregister(this);
    const ahead = this.#ahead;
    this.#ahead = undefined;
    this.#wake();
    return ahead;
  }

  /** @param {{ value: T }} ahead */
  #took(ahead) {
    this.#taking = false;
    this.#ahead = ahead;
    this.#wake();
  }

  /** @param {unknown} error */
  #failed(error) {
    this.#taking = false;
    if (!this.#over) {
      this.stop();
      this.onFailure(error);
    }
  }

  #wake() {
    const came = this.#came;
    this.#came = undefined;
    came?.();
  }
}
