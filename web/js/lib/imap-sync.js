// @ts-check
/** How a copy of a mailbox is brought up to date: imap.d.ts. */

import { kindOf, options as checked, text } from './check.js';
import { invalid } from './error.js';
import { copyOf } from './mail-copy.js';

/** @import * as Api from '../imap.d.ts' */
/** @import { Turns } from './imap-turns.js' */

const OPTIONS = ['state', 'items', 'store', 'signal'];
/** How many changes are read ahead of the loop. Beyond that the server is held back. */
const AHEAD = 20_000;
/** How many changes are stored at once. */
const BATCH = 500;

/** @implements {Api.ImapSync} */
export class Sync {
  #asker;
  #turns;
  #mailbox;
  #items;
  #store;
  #signal;
  #isTaken = false;
  /** @type {Uint8Array<ArrayBuffer> | null} */
  state;

  /**
   * @param {import('./imap-asker.js').Asker} asker
   * @param {Turns} turns
   * @param {string} mailbox
   * @param {Api.ImapSyncOptions | undefined} options
   */
  constructor(asker, turns, mailbox, options) {
    const given = checked('sync()', options, OPTIONS) ?? {};
    const { state = null, items = ['date', 'size', 'envelope'], store, signal } = given;
    if (state !== null && !(state instanceof Uint8Array)) {
      throw invalid(`the option state is ${kindOf(state)}, not a Uint8Array`);
    }
    if (state !== null && store !== undefined) {
      throw invalid('the option state is given beside a store, which has one');
    }
    if (!Array.isArray(items)) {
      throw invalid(`the option items is ${kindOf(items)}, not an array`);
    }
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw invalid(`the option signal is ${kindOf(signal)}, not an AbortSignal`);
    }
    this.#asker = asker;
    this.#turns = turns;
    this.#mailbox = text('mailbox', mailbox);
    this.#items = items;
    this.#store = store;
    this.#signal = signal;
    this.state = state === null ? null : new Uint8Array(state);
  }

  /** @returns {Promise<Api.ImapSynced>} */
  async done() {
    const done = { new: 0, flags: 0, gone: 0, isReset: false };
    for await (const change of this) {
      switch (change.type) {
        case 'reset':
          done.isReset = true;
          break;
        case 'gone':
          done.gone += change.uids.length;
          break;
        case 'new':
          done.new += 1;
          break;
        case 'flags':
          done.flags += 1;
          break;
      }
    }
    return done;
  }

  /** @returns {AsyncGenerator<Api.ImapChange, void, undefined>} */
  [Symbol.asyncIterator]() {
    if (this.#isTaken) {
      throw invalid('the changes are being taken already');
    }
    this.#isTaken = true;
    return this.#store === undefined ? this.#changes() : this.#stored(this.#store);
  }

  async *#changes() {
    for await (const [changes, state] of this.#batches(1)) {
      // The state is what is known with all that was told.
      this.state = state;
      yield* changes;
    }
  }

  /** Keeps each batch in the copy before it is told. @param {string | Api.MailCopy} store */
  async *#stored(store) {
    const { copy, release } = await copyOf(store, this.#mailbox, this.#signal);
    try {
      this.state = await copy.state(this.#mailbox);
      for await (const [changes, state] of this.#batches(BATCH)) {
        await copy.apply(this.#mailbox, changes, state);
        this.state = state;
        yield* changes;
      }
    } finally {
      release();
    }
  }

  /**
   * Changes, at most so many at once, each time with the state that has them all. They are read while the loop
   * does something else, so that nothing it waits for stands behind what it has not taken yet.
   *
   * @param {number} most
   * @returns {AsyncGenerator<[Api.ImapChange[], Uint8Array<ArrayBuffer>], void, undefined>}
   */
  async *#batches(most) {
    const reader = new Ahead(this.#asker, this.#turns, this.#mailbox, this.#items, this.state);
    const signal = this.#signal;
    const onAbort = () => reader.fail(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        const batch = await reader.take(most);
        if (batch === null) {
          return;
        }
        yield batch;
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      reader.fail(null);
    }
  }
}

/** Reads changes ahead of whoever takes them. */
class Ahead {
  /** @type {{ change: Api.ImapChange | null, state: Uint8Array<ArrayBuffer> }[]} */
  #read = [];
  /** @type {any} */
  #reading = null;
  #isOver = false;
  /** @type {{ reason: unknown } | null} */
  #failure = null;
  #wake = () => undefined;
  #goOn = () => undefined;

  /**
   * @param {import('./imap-asker.js').Asker} asker
   * @param {Turns} turns
   * @param {string} mailbox
   * @param {readonly string[]} items
   * @param {Uint8Array | null} state
   */
  constructor(asker, turns, mailbox, items, state) {
    void this.#run(asker, turns, mailbox, items, state).then(
      () => {
        this.#isOver = true;
        this.#wake();
      },
      (reason) => this.#end({ reason }),
    );
  }

  /** @param {number} most @returns {Promise<[Api.ImapChange[], Uint8Array<ArrayBuffer>] | null>} */
  async take(most) {
    while (this.#read.length === 0) {
      if (this.#failure !== null) {
        throw this.#failure.reason;
      }
      if (this.#isOver) {
        return null;
      }
      await new Promise((/** @type {(value: any) => void} */ resolve) => {
        this.#wake = /** @type {() => undefined} */ (resolve);
      });
    }
    const taken = this.#read.splice(0, most);
    this.#goOn();
    const state = /** @type {{ state: Uint8Array<ArrayBuffer> }} */ (taken[taken.length - 1]).state;
    const changes = taken.map(({ change }) => change).filter((change) => change !== null);
    return [changes, state];
  }

  /** It is given up. @param {unknown} reason */
  fail(reason) {
    this.#read = [];
    this.#end({ reason });
    void this.#reading?.cancel();
  }

  /** @param {{ reason: unknown }} failure */
  #end(failure) {
    this.#failure ??= failure;
    this.#wake();
    this.#goOn();
  }

  /**
   * @param {import('./imap-asker.js').Asker} asker
   * @param {Turns} turns
   * @param {string} mailbox
   * @param {readonly string[]} items
   * @param {Uint8Array | null} state
   */
  async #run(asker, turns, mailbox, items, state) {
    /** @type {Uint8Array | null} */
    let known = state;
    while (this.#failure === null) {
      /** @type {any} */
      let ours = null;
      try {
        await turns.opening(async () => {
          this.#reading = await asker.ask('sync', { mailbox, items, state: known ?? undefined });
          do {
            known = await this.#next(asker);
            ours = this.#reading.selected();
            turns.selected = ours;
          } while (ours === null && known !== null);
        });
        while (known !== null && this.#failure === null) {
          known = await this.#next(asker);
          while (this.#read.length >= AHEAD && this.#failure === null) {
            await new Promise((/** @type {(value: any) => void} */ resolve) => {
              this.#goOn = /** @type {() => undefined} */ (resolve);
            });
          }
        }
        return;
      } catch (error) {
        // Where another mailbox was opened in between, it goes on from what is known.
        if (ours === null || turns.selected === ours) {
          throw error;
        }
      }
    }
  }

  /** Reads a change; gives the state with it, or null after the last. @param {import('./imap-asker.js').Asker} asker */
  async #next(asker) {
    const change = await asker.settled(this.#reading.next());
    const state = /** @type {Uint8Array<ArrayBuffer> | undefined} */ (this.#reading.state());
    if (state !== undefined) {
      // What is known at the end may be more than with the last change.
      this.#read.push({ change, state });
      this.#wake();
    }
    return change === null || state === undefined ? null : state;
  }
}
