// @ts-check
/**
 * Who works in which mailbox. A connection has one mailbox open at a time, and a page may work in several: each
 * piece of work is done while its mailbox is open, in the order in which it was asked for.
 */

/** @import * as Api from '../imap.d.ts' */

export class Turns {
  #select;
  /** The mailbox that is open, as the server told of it last. @type {Api.ImapSelected | null} */
  selected = null;
  /** Whether it was opened to be looked at only. */
  #readOnly = false;
  #running = 0;
  /** @type {() => void} */
  #drained = () => undefined;
  /** Settles when the last one that came has begun. @type {Promise<void>} */
  #last = Promise.resolve();

  /** @param {(name: string, readOnly: boolean) => Promise<Api.ImapSelected>} select */
  constructor(select) {
    this.#select = select;
  }

  /**
   * Does something while a mailbox is open.
   *
   * @template T
   * @param {string} name
   * @param {boolean} readOnly
   * @param {() => Promise<T>} run
   * @returns {Promise<T>}
   */
  async in(name, readOnly, run) {
    const turn = this.#turn();
    try {
      await turn.before;
      if (this.selected?.name !== name || (this.#readOnly && !readOnly)) {
        await this.#alone();
        await this.#open(name, readOnly);
      }
    } catch (error) {
      turn.begun();
      throw error;
    }
    return this.#run(turn, run);
  }

  /**
   * Does something that opens a mailbox itself, and then tells of it.
   *
   * @template T
   * @param {() => Promise<T>} run
   * @returns {Promise<T>}
   */
  async opening(run) {
    const turn = this.#turn();
    await turn.before;
    await this.#alone();
    this.selected = null;
    this.#readOnly = false;
    return this.#run(turn, run);
  }

  #turn() {
    const before = this.#last;
    /** @type {() => void} */
    let begun = () => undefined;
    this.#last = new Promise((/** @type {(value: void) => void} */ resolve) => {
      begun = resolve;
    });
    return { before, begun };
  }

  /** @template T @param {{ begun: () => void }} turn @param {() => Promise<T>} run @returns {Promise<T>} */
  async #run(turn, run) {
    this.#running += 1;
    try {
      const done = run();
      // What is asked for now is sent before what comes behind.
      turn.begun();
      return await done;
    } finally {
      turn.begun();
      this.#running -= 1;
      if (this.#running === 0) {
        this.#drained();
      }
    }
  }

  /** Waits until nobody works in the mailbox that is open. */
  async #alone() {
    while (this.#running > 0) {
      await new Promise((/** @type {(value: void) => void} */ resolve) => {
        this.#drained = resolve;
      });
    }
  }

  /** @param {string} name @param {boolean} readOnly */
  async #open(name, readOnly) {
    // Where it can't be opened, none is open.
    this.selected = null;
    this.#readOnly = readOnly;
    this.selected = await this.#select(name, readOnly);
  }
}
