// @ts-check
/** The IRC client of a page. What it is and does: the .d.ts. */

import { address, optionalText, options as checked, text } from './check.js';
import { asyncDispose, each, nextOf, settled } from './ending.js';
import { invalid } from './error.js';

/** @import * as Api from '../index.d.ts' */

/** What `IrcOptions` has. */
const OPTIONS = ['nick', 'username', 'realname', 'sasl', 'channels'];

/** @implements {Api.Irc} */
export class Irc {
  #client;

  /**
   * @param {import('../wasm/index.js').Network} network
   * @param {string | URL} url
   * @param {Api.IrcOptions} options
   */
  static async open(network, url, options) {
    const at = address('address', url);
    if (checked('irc()', options, OPTIONS) === undefined) {
      throw invalid('the options of irc() are missing');
    }
    checked('sasl', options.sasl, ['account', 'password']);
    return new Irc(network.irc(at, options));
  }

  /** @param {import('../wasm/index.js').Irc} client */
  constructor(client) {
    this.#client = client;
  }

  /** @returns {Promise<Api.IrcEvent | null>} */
  next() { return nextOf(this.#client, this.#client.next()); }

  [Symbol.asyncIterator]() { return each(this, () => void this.close()); }

  /** @param {string} channel @param {string} [key] */
  async join(channel, key) {
    return this.#asked(this.#client.join(text('channel', channel), optionalText('key', key)));
  }

  /** @param {string} channel @param {string} [reason] */
  async part(channel, reason) {
    return this.#asked(this.#client.part(text('channel', channel), optionalText('reason', reason)));
  }

  /** @param {string} target @param {string} said */
  async say(target, said) { return this.#asked(this.#client.say(text('target', target), text('text', said))); }

  /** @param {string} target @param {string} done */
  async action(target, done) {
    return this.#asked(this.#client.action(text('target', target), text('text', done)));
  }

  /** @param {string} target @param {string} said */
  async notice(target, said) {
    return this.#asked(this.#client.notice(text('target', target), text('text', said)));
  }

  /** @param {string} channel */
  async topic(channel) { return this.#asked(this.#client.topic(text('channel', channel))); }

  /** @param {string} channel @param {string} topic */
  async setTopic(channel, topic) {
    return this.#asked(this.#client.setTopic(text('channel', channel), text('topic', topic)));
  }

  /** @param {string} nick */
  async setNick(nick) { return this.#asked(this.#client.setNick(text('nick', nick))); }

  /** @param {string} [reason] */
  async setAway(reason) { return this.#asked(this.#client.setAway(optionalText('reason', reason))); }

  /** @param {string} [reason] */
  async close(reason) { return this.#client.close(optionalText('reason', reason)); }

  [asyncDispose]() { return this.close(); }

  /** @template T @param {Promise<T>} asked */
  #asked(asked) { return settled(this.#client, asked); }
}
