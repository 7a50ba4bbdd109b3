// @ts-check
/** What a client gives one by one, to one reader: events, messages, states. */

import { JackfieldError } from './error.js';
import { mayWait, patiently } from './patience.js';

/** @import * as Api from '../common.d.ts' */

/** How many wait for a page that reads none of them, unless it is told otherwise; older ones go. */
const MAX_KEPT = 256;

/**
 * While nobody reads, nothing is taken from the client, which holds the server back in the end. After `keep()` it is
 * taken all the same, since the page may have no use for it: the newest ones wait, and their reader is told how many
 * are missing. So it is from the beginning, and whether or not there is a reader, where it is eager: each is seen as it
 * comes then.
 *
 * @template In, Out
 */
export class Reading {
  #what;
  #life;
  #pull;
  #made;
  #keeps;
  #most;
  #isEager;
  /** The next one, on its way: it stays until a reader has it. @type {Promise<In | In[] | null> | null} */
  #pulled = null;
  /** @type {Out[]} */
  #kept = [];
  #missed = 0;
  /** Whether there is a reader, so that nothing is kept. */
  #isRead = false;
  #isKeeping = false;
  /** Whether somebody waits for the next one. */
  #isAsked = false;
  #isLooped = false;
  /** Whether nobody wants what is kept. */
  #isForgotten = false;
  /** Why it ended before its client. @type {{ reason: unknown } | undefined} */
  #ended;

  /**
   * @param {string} what What they are, for errors.
   * @param {{ failure(): Api.JackfieldError | undefined }} life
   * @param {() => Promise<In | In[] | null>} pull Several come at once only where nothing calls `keep()`.
   * @param {(value: In) => Out} made
   * @param {{ most?: number, isEager?: boolean }} [how] `most`: how many may wait.
   */
  constructor(what, life, pull, made, { most = MAX_KEPT, isEager = false } = {}) {
    this.#what = what;
    this.#life = life;
    this.#pull = pull;
    this.#made = made;
    this.#most = most;
    this.#isEager = isEager;
    this.#keeps = isEager;
    this.#keepOn();
  }

  /** From now on the client is not held back while nobody reads. */
  keep() {
    this.#keeps = true;
    this.#keepOn();
  }

  /**
   * The next one, or null after the end. One that was not waited for comes with the next call.
   *
   * @param {Api.WaitOptions} [options]
   * @returns {Promise<Out | null>}
   */
  async next(options) {
    mayWait(options);
    if (this.#isAsked) {
      throw this.#inUse();
    }
    this.#isAsked = true;
    this.#isRead = true;
    try {
      let kept = this.#take();
      while (kept === undefined) {
        const pulled = (this.#pulled ??= this.#pull());
        const value = await (options === undefined ? pulled : patiently(options, () => pulled));
        if (value === null) {
          break;
        }
        if (!this.#isEager) {
          this.#pulled = null;
          return this.#first(value);
        }
        // It was kept just now.
        kept = this.#take();
      }
      if (kept !== undefined) {
        return kept;
      }
      const failure = this.#ended ? this.#ended.reason : this.#life.failure();
      if (failure !== undefined) {
        throw failure;
      }
      return null;
    } finally {
      this.#isAsked = false;
    }
  }

  /**
   * All of them, for a loop. Whoever leaves it, and whoever comes to the end, has done with it.
   *
   * @param {() => void} [left]
   * @returns {AsyncGenerator<Out, void, undefined>}
   */
  async *each(left = () => undefined) {
    if (this.#isLooped || this.#isAsked) {
      throw this.#inUse();
    }
    this.#isLooped = true;
    this.#isRead = true;
    try {
      for (;;) {
        const value = this.#take() ?? await this.next();
        if (value === null) {
          return;
        }
        yield value;
      }
    } finally {
      this.#isLooped = false;
      this.#isRead = false;
      this.#keepOn();
      left();
    }
  }

  /** Nobody wants what waits here, nor what comes yet beside the next one. */
  forget() {
    this.#isForgotten = true;
    this.#kept.length = 0;
  }

  /** It ends now, with this reason: what it is pulled from gives nothing more. @param {unknown} reason */
  fail(reason) { this.#ended ??= { reason }; }

  /** What was kept, and first of all how many were not. @returns {Out | undefined} */
  #take() {
    if (this.#missed > 0) {
      const missed = { type: 'missed', count: this.#missed, time: Date.now() };
      this.#missed = 0;
      return /** @type {Out} */ (missed);
    }
    return this.#kept.shift();
  }

  /**
   * The first of what was pulled. The others wait for the next calls, which find them without asking.
   *
   * @param {In | In[]} value
   */
  #first(value) {
    if (!Array.isArray(value)) {
      return this.#made(value);
    }
    const [first, ...others] = value.map((one) => this.#made(one));
    if (!this.#isForgotten) {
      this.#kept.push(...others);
    }
    return /** @type {Out} */ (first);
  }

  /** Whether a reader takes what comes. */
  #isTaken() { return this.#isRead && !this.#isEager; }

  async #keepOn() {
    if (!this.#keeps || this.#isKeeping || this.#isTaken()) {
      return;
    }
    this.#isKeeping = true;
    try {
      while (!this.#isTaken()) {
        const value = await (this.#pulled ??= this.#pull());
        // A reader who has come meanwhile waits for the same one.
        if (this.#isTaken() || value === null) {
          return;
        }
        this.#pulled = null;
        this.#kept.push(this.#made(/** @type {In} */ (value)));
        if (this.#kept.length > this.#most) {
          this.#kept.shift();
          this.#missed += 1;
        }
      }
    } catch {
      // The reader is told.
    } finally {
      this.#isKeeping = false;
    }
  }

  #inUse() {
    return new JackfieldError('in-use', `the ${this.#what} have a reader already: there is one at a time`);
  }
}
