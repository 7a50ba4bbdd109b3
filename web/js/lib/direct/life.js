// @ts-check
/** What the three sockets have in common: how they open, and how they end. */

import { exception, invalidState } from './errors.js';

/**
 * A socket's course: opening, open with its streams, over.
 *
 * @template {{ readable: ReadableStream, writable?: WritableStream }} I What `opened` gives.
 */
export class Life {
  /** @type {'opening' | 'open' | 'over'} */
  state = 'opening';
  /** @type {Promise<I>} */
  opened;
  /** @type {Promise<undefined>} */
  closed;
  /** @type {(info: I) => void} */
  #open = () => undefined;
  /** @type {(error: unknown) => void} */
  #refuse = () => undefined;
  /** @type {() => void} */
  #end = () => undefined;
  /** @type {(error: unknown) => void} */
  #break = () => undefined;
  /** @type {I | undefined} */
  #info;
  #sides = 0;
  /** @type {{ error: unknown } | undefined} */
  #failure;
  #name;

  /** @param {string} name The interface's. */
  constructor(name) {
    this.#name = name;
    this.opened = new Promise((resolve, reject) => {
      this.#open = resolve;
      this.#refuse = reject;
    });
    this.closed = new Promise((resolve, reject) => {
      this.#end = () => resolve(undefined);
      this.#break = reject;
    });
    // It is one of several ways to learn of the end.
    this.closed.catch(() => undefined);
  }

  /** @param {I} info */
  open(info) {
    this.state = 'open';
    this.#info = info;
    this.#sides = info.writable ? 2 : 1;
    this.#open(info);
  }

  /** It can't be opened. @param {unknown} error */
  refuse(error) {
    this.state = 'over';
    this.#refuse(error);
    this.#break(error);
  }

  /**
   * A side has ended: in order, or by an error. Says whether the socket is over.
   *
   * @param {{ error: unknown }} [failure]
   */
  ended(failure) {
    this.#failure ??= failure;
    this.#sides -= 1;
    if (this.#sides > 0) {
      return false;
    }
    this.state = 'over';
    if (this.#failure) {
      this.#break(this.#failure.error);
    } else {
      this.#end();
    }
    return true;
  }

  /** Whether one of the sides has failed. */
  get failed() { return this.#failure !== undefined; }

  /** What `close()` does, and gives. */
  close() {
    const at = `Failed to execute 'close' on '${this.#name}': `;
    if (this.state === 'opening') {
      return Promise.reject(invalidState(at, 'Socket is not properly initialized.'));
    }
    const info = this.#info;
    if (this.state === 'open' && info) {
      if (info.readable.locked || info.writable?.locked) {
        return Promise.reject(invalidState(at, 'Close called on locked streams.'));
      }
      const reason = exception('AbortError', 'Stream closed.');
      // A side that has failed is told by `closed`.
      void info.readable.cancel(reason).catch(() => undefined);
      void info.writable?.abort(reason).catch(() => undefined);
    }
    return this.closed;
  }
}
