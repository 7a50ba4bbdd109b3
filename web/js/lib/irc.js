// @ts-check
/** The IRC client of a page. What it is and does: the .d.ts. */

import { address, optionalCount, optionalText, options as checked, text, texts } from './check.js';
import { asyncDispose } from './ending.js';
import { invalid } from './error.js';
import { Life, reconnect } from './life.js';
import { WAIT, mayWait, patiently } from './patience.js';
import { Reading } from './reading.js';

/** @import * as Api from '../index.d.ts' */

/** What `IrcOptions` has. */
const OPTIONS = ['nick', 'username', 'realname', 'sasl', 'channels', 'reconnect'];

/** @implements {Api.Irc} */
export class Irc {
  #client;
  #life;
  /** @type {Reading<Api.IrcEvent, Api.IrcEvent>} */
  #events;

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
    reconnect(options.reconnect);
    return new Irc(network.irc(at, options));
  }

  /** @param {import('../wasm/index.js').Irc} client */
  constructor(client) {
    this.#client = client;
    this.#life = new Life(this, client);
    this.#events = new Reading('events', this.#life, () => client.next(), (event) => event);
    // A page that only says things reads none.
    this.#events.keep();
  }

  get state() { return this.#life.state; }

  get registered() { return this.#life.connected; }

  get closed() { return this.#life.closed; }

  reconnectNow() { this.#life.reconnectNow(); }

  /** @param {Api.WaitOptions} [options] */
  async next(options) { return this.#events.next(checked('next()', options, WAIT)); }

  // The loop keeps the client.
  [Symbol.asyncIterator]() { return this.#events.each(() => void this.#life); }

  /** @param {string} channel @param {string} [key] @param {Api.WaitOptions} [options] */
  join(channel, key, options) {
    return this.#ask('join()', options, () =>
      this.#client.join(text('channel', channel), optionalText('key', key)));
  }

  /** @param {string} channel @param {string} [reason] @param {Api.WaitOptions} [options] */
  part(channel, reason, options) {
    return this.#ask('part()', options, () =>
      this.#client.part(text('channel', channel), optionalText('reason', reason)));
  }

  /** @param {string} target @param {string} said @param {Api.WaitOptions} [options] */
  say(target, said, options) {
    return this.#ask('say()', options, () => this.#client.say(text('target', target), text('text', said)));
  }

  /** @param {string} target @param {string} done @param {Api.WaitOptions} [options] */
  action(target, done, options) {
    return this.#ask('action()', options, () => this.#client.action(text('target', target), text('text', done)));
  }

  /** @param {string} target @param {string} said @param {Api.WaitOptions} [options] */
  notice(target, said, options) {
    return this.#ask('notice()', options, () => this.#client.notice(text('target', target), text('text', said)));
  }

  /** @param {string} channel @param {Api.WaitOptions} [options] */
  topic(channel, options) {
    return this.#ask('topic()', options, () => this.#client.topic(text('channel', channel)));
  }

  /** @param {string} channel @param {string} topic @param {Api.WaitOptions} [options] */
  setTopic(channel, topic, options) {
    return this.#ask('setTopic()', options, () =>
      this.#client.setTopic(text('channel', channel), text('topic', topic)));
  }

  /** @param {string} nick @param {Api.WaitOptions} [options] */
  setNick(nick, options) {
    return this.#ask('setNick()', options, () => this.#client.setNick(text('nick', nick)));
  }

  /** @param {string} [reason] @param {Api.WaitOptions} [options] */
  setAway(reason, options) {
    return this.#ask('setAway()', options, () => this.#client.setAway(optionalText('reason', reason)));
  }

  /** @param {string} [reason] @param {Api.WaitOptions} [options] */
  close(reason, options) {
    return this.#ask('close()', options, () => this.#client.close(optionalText('reason', reason)));
  }

  [asyncDispose]() { return this.close(); }

  /** @param {string} command @param {(string | Api.WaitOptions)[]} rest */
  raw(command, ...rest) {
    const [params, options] = apart(rest);
    return this.#ask('raw()', options, () =>
      this.#client.raw(text('command', command), texts('parameter', params)));
  }

  /** @param {string} nick @param {Api.WaitOptions} [options] @returns {Promise<Api.IrcWhois | null>} */
  whois(nick, options) {
    return this.#ask('whois()', options, () => this.#client.whois(text('nick', nick)));
  }

  /** @param {string} mask @param {Api.WaitOptions} [options] @returns {Promise<Api.IrcUser[]>} */
  who(mask, options) {
    return this.#ask('who()', options, () => this.#client.who(text('mask', mask)));
  }

  /** @param {string} channel @param {Api.WaitOptions} [options] @returns {Promise<Api.Member[]>} */
  names(channel, options) {
    return this.#ask('names()', options, () => this.#client.names(text('channel', channel)));
  }

  /** @param {Api.IrcListOptions} [options] @returns {AsyncIterable<Api.IrcListEntry>} */
  list(options) {
    const { names, minMembers, ...wait } = checked('list()', options, ['names', 'minMembers', ...WAIT]) ?? {};
    mayWait(wait);
    return this.#list(optionalText('names', names), optionalCount('minMembers', minMembers), wait);
  }

  /** @param {string | undefined} names @param {number | undefined} minMembers @param {Api.WaitOptions} wait */
  async *#list(names, minMembers = 0, wait) {
    yield* await this.#ask('list()', wait, () => this.#client.list(names, minMembers));
  }

  /** @param {string} channel @param {Api.WaitOptions} [options] @returns {Promise<Api.IrcModes>} */
  async modes(channel, options) {
    const modes = await this.#ask('modes()', options, () => this.#client.modes(text('channel', channel)));
    return /** @type {Api.IrcModes} */ (modes);
  }

  /** @param {string} target @param {string} modes @param {(string | Api.WaitOptions)[]} rest */
  setMode(target, modes, ...rest) {
    const [params, options] = apart(rest);
    return this.#ask('setMode()', options, () =>
      this.#client.setMode(text('target', target), text('modes', modes), texts('parameter', params)));
  }

  /** @param {string} channel @param {string} nick @param {string} [reason] @param {Api.WaitOptions} [options] */
  kick(channel, nick, reason, options) {
    return this.#ask('kick()', options, () =>
      this.#client.kick(text('channel', channel), text('nick', nick), optionalText('reason', reason)));
  }

  /** @param {string} nick @param {string} channel @param {Api.WaitOptions} [options] */
  invite(nick, channel, options) {
    return this.#ask('invite()', options, () =>
      this.#client.invite(text('nick', nick), text('channel', channel)));
  }

  /**
   * @template T
   * @param {string} what
   * @param {Api.WaitOptions | undefined} options
   * @param {() => Promise<T>} run
   * @returns {Promise<T>}
   */
  async #ask(what, options, run) {
    return patiently(checked(what, options, WAIT), () => this.#life.asked(this, run()));
  }
}

/**
 * Parameters, as many as there are, and the options behind them, which are an object.
 *
 * @param {readonly (string | Api.WaitOptions)[]} all
 * @returns {[readonly string[], Api.WaitOptions | undefined]}
 */
function apart(all) {
  const last = all.at(-1);
  if (typeof last === 'object' && last !== null) {
    return [/** @type {readonly string[]} */ (all.slice(0, -1)), last];
  }
  return [/** @type {readonly string[]} */ (all), undefined];
}
