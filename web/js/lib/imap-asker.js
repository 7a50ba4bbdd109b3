// @ts-check
/** What asks the module of an IMAP client. */

import { settled } from './ending.js';

/** @import * as Api from '../imap.d.ts' */

export class Asker {
  #client;

  /** @param {any} client The module's. */
  constructor(client) {
    this.#client = client;
  }

  /**
   * @param {string} what
   * @param {object} request
   * @param {Promise<never>} [aborted]
   * @returns {Promise<any>}
   */
  ask(what, request, aborted) { return this.settled(this.#client.ask(what, request, aborted)); }

  /** @template T @param {Promise<T>} asked @returns {Promise<T>} */
  settled(asked) { return settled(this.#client, asked); }

  /** @param {Uint8Array} message @returns {Api.ParsedMessage} */
  parse(message) { return this.#client.parse(message); }

  /** @param {Api.MessagePart} part @param {Uint8Array} bytes @returns {string} */
  partText(part, bytes) { return this.#client.partText(part, bytes); }
}
