// @ts-check
/** The IRC client of a page. What it is and does: the .d.ts. */

import { address, optionalCount, optionalText, options as checked, text, texts } from './check.js';
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

  /** @param {string} command @param {string[]} params */
  async raw(command, ...params) {
    return this.#asked(this.#client.raw(text('command', command), texts('parameter', params)));
  }

  /** @param {string} nick @returns {Promise<Api.IrcWhois | null>} */
  async whois(nick) { return this.#asked(this.#client.whois(text('nick', nick))); }

  /** @param {string} mask @returns {Promise<Api.IrcUser[]>} */
  async who(mask) { return this.#asked(this.#client.who(text('mask', mask))); }

  /** @param {string} channel @returns {Promise<Api.Member[]>} */
  async names(channel) { return this.#asked(this.#client.names(text('channel', channel))); }

  /** @param {Api.IrcListOptions} [options] @returns {AsyncIterable<Api.IrcListEntry>} */
  list(options) {
    const { names, minMembers } = checked('list()', options, ['names', 'minMembers']) ?? {};
    return this.#list(optionalText('names', names), optionalCount('minMembers', minMembers));
  }

  /** @param {string | undefined} names @param {number} [minMembers] */
  async *#list(names, minMembers = 0) {
    yield* await this.#asked(this.#client.list(names, minMembers));
  }

  /** @param {string} channel @returns {Promise<Api.IrcModes>} */
  async modes(channel) {
    const modes = await this.#asked(this.#client.modes(text('channel', channel)));
    return /** @type {Api.IrcModes} */ (modes);
  }

  /** @param {string} target @param {string} modes @param {string[]} params */
  async setMode(target, modes, ...params) {
    const given = texts('parameter', params);
    return this.#asked(this.#client.setMode(text('target', target), text('modes', modes), given));
  }

  /** @param {string} channel @param {string} nick @param {string} [reason] */
  async kick(channel, nick, reason) {
    const why = optionalText('reason', reason);
    return this.#asked(this.#client.kick(text('channel', channel), text('nick', nick), why));
  }

  /** @param {string} nick @param {string} channel */
  async invite(nick, channel) {
    return this.#asked(this.#client.invite(text('nick', nick), text('channel', channel)));
  }

  /** @template T @param {Promise<T>} asked */
  #asked(asked) { return settled(this.#client, asked); }
}
