// @ts-check
/** What was opened over one network, and ends with it. */

import { JackfieldError } from './error.js';

/** @typedef {{ closed: Promise<unknown>, close(): Promise<unknown> }} Closable */

export class Clients {
  /** They are the page's, which may forget them. @type {Set<WeakRef<Closable>>} */
  #all = new Set();
  #network;
  /** @type {Promise<void> | undefined} */
  #closed;

  /** @param {{ close(): void }} network */
  constructor(network) {
    this.#network = network;
  }

  /**
   * What was opened, or is being opened; a method need not open anything. Where the network is closed by then, so is
   * this.
   *
   * @template {Closable | Promise<Closable> | void} T
   * @param {T} opened
   * @returns {T}
   */
  add(opened) {
    if (opened instanceof Promise) {
      return /** @type {T} */ (this.#opening(opened));
    }
    if (opened) {
      this.#note(opened);
    }
    return opened;
  }

  /** @param {Promise<Closable>} opening */
  async #opening(opening) {
    const client = await opening;
    this.#note(client);
    if (this.#closed) {
      await client.closed.catch(() => undefined);
      throw new JackfieldError('closed', 'the network is closed');
    }
    return client;
  }

  /** @param {Closable} client */
  #note(client) {
    if (this.#closed) {
      client.close().catch(() => undefined);
      return;
    }
    const one = new WeakRef(client);
    this.#all.add(one);
    const forget = () => void this.#all.delete(one);
    client.closed.then(forget, forget);
  }

  /** Closes all of them, and then the network. */
  close() {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close() {
    await Promise.allSettled([...this.#all].map((one) => one.deref()?.close()));
    this.#network.close();
  }
}
