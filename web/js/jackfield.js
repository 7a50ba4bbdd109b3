// @ts-check
/** Jackfield for web pages. What each thing is and does: jackfield.d.ts. */

import init, { Network as WasmNetwork } from './generated/jackfield_web.js';

/** @import * as Api from './jackfield.d.ts' */

/** @type {Promise<unknown> | undefined} */
let loaded;

/**
 * @param {Api.OpenOptions} options
 * @returns {Promise<Api.Network>}
 */
export async function open(options) {
  // Loaded once, and tried again if that failed: the network may be better by then.
  const module = new URL('./generated/jackfield_web_bg.wasm', import.meta.url);
  loaded ??= init({ module_or_path: module }).catch((error) => {
    loaded = undefined;
    throw error;
  });
  await loaded;
  const network = WasmNetwork.open(options);
  return {
    kind: /** @type {Api.Network['kind']} */ (network.kind),
    irc: async (to) => new Irc(network.irc(to)),
  };
}

/** @implements {Api.Irc} */
class Irc {
  #client;

  /** @param {import('./generated/jackfield_web.js').Irc} client */
  constructor(client) {
    this.#client = client;
  }

  next() { return this.#client.next(); }

  async* [Symbol.asyncIterator]() {
    try {
      for (;;) {
        const event = await this.next();
        if (event === null) {
          return;
        }
        yield event;
      }
    } finally {
      // Whoever leaves the loop has done with the connection.
      this.close();
    }
  }

  /** @param {string} channel @param {string} [key] */
  join(channel, key) { return this.#client.join(channel, key); }

  /** @param {string} channel @param {string} [reason] */
  part(channel, reason) { return this.#client.part(channel, reason); }

  /** @param {string} target @param {string} text */
  say(target, text) { return this.#client.say(target, text); }

  /** @param {string} target @param {string} text */
  action(target, text) { return this.#client.action(target, text); }

  /** @param {string} target @param {string} text */
  notice(target, text) { return this.#client.notice(target, text); }

  /** @param {string} channel @param {string} topic */
  topic(channel, topic) { return this.#client.topic(channel, topic); }

  /** @param {string} nick */
  nick(nick) { return this.#client.nick(nick); }

  /** @param {string} [reason] */
  away(reason) { return this.#client.away(reason); }

  /** @param {string} [reason] */
  quit(reason) { return this.#client.quit(reason); }

  close() { this.#client.close(); }
}
