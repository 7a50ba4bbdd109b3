// @ts-check
/** A mailbox of an IMAP server, and what is done with the messages in it: imap.d.ts. */

import { kindOf, options as checked, text } from './check.js';
import { JackfieldError, invalid } from './error.js';
import { Reading } from './imap-reading.js';
import { WAIT, patiently } from './patience.js';

/** @import * as Api from '../imap.d.ts' */
/** @import { Turns } from './imap-turns.js' */

/** What the options of the methods, a query and a part have. */
const FETCH = ['newest', 'changedSince', ...WAIT];
const BODY = ['progress', ...WAIT];
const STORE = ['unchangedSince', ...WAIT];
const THREADS = ['by', ...WAIT];
const QUERY = [
  'uids', 'flags', 'withoutFlags', 'from', 'to', 'cc', 'bcc', 'subject', 'body', 'text', 'header', 'since',
  'before', 'sentSince', 'sentBefore', 'larger', 'smaller', 'changedSince', 'gmail', 'not', 'or',
];

/** How many messages are asked for at once, at first and then. They are held until the loop has taken them. */
const FIRST = 50;
const WINDOW = 200;

/** @implements {Api.ImapMailbox} */
export class Mailbox {
  #asker;
  #turns;
  #info;
  #readOnly;

  /**
   * @param {import('./imap-asker.js').Asker} asker
   * @param {Turns} turns
   * @param {Api.ImapSelected} info
   * @param {boolean} readOnly As it was asked for; the server may have made more of it.
   */
  constructor(asker, turns, info, readOnly) {
    this.#asker = asker;
    this.#turns = turns;
    this.#info = { ...info };
    this.#readOnly = readOnly;
  }

  get name() { return this.#info.name; }

  get readOnly() { return this.#info.readOnly; }

  get exists() {
    const { selected } = this.#turns;
    return selected?.name === this.name ? selected.exists : this.#info.exists;
  }

  get uidValidity() { return this.#info.uidValidity; }

  get uidNext() { return this.#info.uidNext; }

  get highestModSeq() { return this.#info.highestModSeq; }

  get flags() { return this.#info.flags; }

  get permanentFlags() { return this.#info.permanentFlags; }

  /**
   * @param {Api.ImapUids} [uids]
   * @param {readonly Api.ImapItem[]} [items]
   * @param {Api.ImapFetchOptions} [options]
   * @returns {AsyncGenerator<Api.ImapMessage, void, undefined>}
   */
  fetch(uids = '1:*', items = ['flags', 'date', 'size', 'envelope'], options = undefined) {
    const { newest, changedSince } = checked('fetch()', options, FETCH) ?? {};
    if (newest !== undefined && !(Number.isInteger(newest) && newest >= 0)) {
      throw invalid('the option newest is no whole number');
    }
    if (!Array.isArray(items)) {
      throw invalid(`the items are ${kindOf(items)}, not an array`);
    }
    return this.#messages(uids, [...items], newest, changedSince, options);
  }

  /**
   * @param {number} uid
   * @param {Api.ImapSection} [part]
   * @param {Api.ImapBodyOptions} [options]
   * @returns {Promise<Api.ImapBody>}
   */
  async body(uid, part, options) {
    const { progress } = checked('body()', options, BODY) ?? {};
    if (progress !== undefined && typeof progress !== 'function') {
      throw invalid(`the option progress is ${kindOf(progress)}, not a function`);
    }
    const request = { uid: uidOf(uid), ...section(part) };
    const reading = await this.#ask('read', request, options);
    return new Reading(this.#asker, reading, typeof part === 'object' ? part : null, options);
  }

  /** @param {number} uid @param {Api.ImapBodyOptions} [options] @returns {Promise<Api.ParsedMessage>} */
  async message(uid, options) {
    const body = await this.body(uid, undefined, options);
    return this.#asker.parse(await body.bytes());
  }

  /** @param {Api.ImapQuery} [query] @param {Api.WaitOptions} [options] @returns {Promise<number[]>} */
  async search(query, options) {
    checked('search()', options, WAIT);
    return this.#search(query, options);
  }

  /**
   * @param {Api.ImapSortKey | readonly Api.ImapSortKey[]} by
   * @param {Api.ImapQuery} [query]
   * @param {Api.WaitOptions} [options]
   * @returns {Promise<number[]>}
   */
  async sort(by, query, options) {
    checked('sort()', options, WAIT);
    checkQuery(query);
    return this.#ask('sort', { by: typeof by === 'string' ? [by] : by, query }, options);
  }

  /** @param {Api.ImapQuery} [query] @param {Api.ImapThreadOptions} [options] @returns {Promise<Api.ImapThread[]>} */
  async threads(query, options) {
    const { by } = checked('threads()', options, THREADS) ?? {};
    checkQuery(query);
    return this.#ask('threads', { by, query }, options);
  }

  /** @param {Api.ImapUids} uids @param {readonly string[]} flags @param {Api.ImapStoreOptions} [options] */
  async addFlags(uids, flags, options) { return this.#store('addFlags()', 'add', uids, flags, options); }

  /** @param {Api.ImapUids} uids @param {readonly string[]} flags @param {Api.ImapStoreOptions} [options] */
  async removeFlags(uids, flags, options) { return this.#store('removeFlags()', 'remove', uids, flags, options); }

  /** @param {Api.ImapUids} uids @param {readonly string[]} flags @param {Api.ImapStoreOptions} [options] */
  async setFlags(uids, flags, options) { return this.#store('setFlags()', 'replace', uids, flags, options); }

  /** @param {Api.ImapUids} uids @param {string} to @param {Api.WaitOptions} [options] @returns {Promise<Api.ImapCopied>} */
  async copy(uids, to, options) { return this.#transfer('copy', uids, to, options); }

  /** @param {Api.ImapUids} uids @param {string} to @param {Api.WaitOptions} [options] @returns {Promise<Api.ImapCopied>} */
  async move(uids, to, options) { return this.#transfer('move', uids, to, options); }

  /** @param {Api.ImapUids} [uids] @param {Api.WaitOptions} [options] @returns {Promise<void>} */
  async expunge(uids, options) {
    checked('expunge()', options, WAIT);
    if (!isNone(uids)) {
      await this.#ask('expunge', uids === undefined ? {} : { uids: uidsOf(uids) }, options);
    }
  }

  /** @param {Api.ImapUids} uids @param {Api.WaitOptions} [options] @returns {Promise<void>} */
  async delete(uids, options) {
    checked('delete()', options, WAIT);
    if (!isNone(uids)) {
      const which = uidsOf(uids);
      await this.#ask('store', { uids: which, how: 'add', flags: ['\\Deleted'] }, options);
      await this.#ask('expunge', { uids: which }, options);
    }
  }

  /**
   * @param {string} method
   * @param {string} how
   * @param {Api.ImapUids} uids
   * @param {readonly string[]} flags
   * @param {Api.ImapStoreOptions | undefined} options
   * @returns {Promise<Api.ImapStored>}
   */
  async #store(method, how, uids, flags, options) {
    const { unchangedSince } = checked(method, options, STORE) ?? {};
    if (!Array.isArray(flags)) {
      throw invalid(`the flags are ${kindOf(flags)}, not an array`);
    }
    if (isNone(uids)) {
      return { modified: [] };
    }
    return { modified: await this.#ask('store', { uids: uidsOf(uids), how, flags, unchangedSince }, options) };
  }

  /** @param {'copy' | 'move'} what @param {Api.ImapUids} uids @param {string} to @param {Api.WaitOptions} [options] */
  async #transfer(what, uids, to, options) {
    checked(`${what}()`, options, WAIT);
    text('mailbox', to);
    if (isNone(uids)) {
      return { uidValidity: null, uids: [], isLeftBehind: false };
    }
    return this.#ask(what, { uids: uidsOf(uids), to }, options);
  }

  /** @param {Api.ImapQuery | undefined} query @param {Api.WaitOptions} [options] @returns {Promise<number[]>} */
  async #search(query, options) {
    checkQuery(query);
    return this.#ask('search', { query }, options);
  }

  /**
   * Messages in windows, each of which is asked for as a whole: so nothing that the loop waits for stands behind
   * what it has not taken yet. The next window comes while this one is taken.
   *
   * @param {Api.ImapUids} uids
   * @param {string[]} items
   * @param {number | undefined} newest
   * @param {bigint | undefined} changedSince
   * @param {Api.WaitOptions | undefined} options
   */
  async *#messages(uids, items, newest, changedSince, options) {
    if (isNone(uids) || newest === 0) {
      return;
    }
    const given = uidsOf(uids);
    let list = Array.isArray(given) ? given : [given];
    if (typeof given === 'string') {
      // Which there are, so that a window has as many as it can hold.
      list = await this.#search({ uids: given }, options);
    }
    list = newest === undefined ? list : list.slice(-newest).reverse();
    const windows = [list.slice(0, FIRST)];
    for (let at = FIRST; at < list.length; at += WINDOW) {
      windows.push(list.slice(at, at + WINDOW));
    }
    const ask = (/** @type {number[] | undefined} */ window) => {
      const asked = window === undefined || window.length === 0
        ? Promise.resolve(new Map()) : this.#window(window, items, changedSince, options);
      // Whoever takes it is told.
      asked.catch(() => undefined);
      return asked;
    };
    let next = ask(windows[0]);
    for (let at = 0; at < windows.length; at += 1) {
      const found = await next;
      next = ask(windows[at + 1]);
      for (const uid of windows[at] ?? []) {
        const message = found.get(uid);
        if (message !== undefined) {
          found.delete(uid);
          yield message;
        }
      }
    }
  }

  /**
   * @param {number[]} uids
   * @param {string[]} items
   * @param {bigint | undefined} changedSince
   * @param {Api.WaitOptions | undefined} options
   * @returns {Promise<Map<number, Api.ImapMessage>>}
   */
  async #window(uids, items, changedSince, options) {
    return this.#in(options, async (aborted) => {
      const reading = await this.#asker.ask('fetch', { uids, items, changedSince });
      aborted?.catch(() => void reading.cancel());
      /** @type {Map<number, Api.ImapMessage>} */
      const found = new Map();
      for (let message = await reading.next(); message !== null; message = await reading.next()) {
        // A server may tell of one in parts.
        found.set(message.uid, Object.assign(found.get(message.uid) ?? {}, message));
      }
      return found;
    });
  }

  /** @param {string} what @param {object} request @param {Api.WaitOptions | undefined} options @returns {Promise<any>} */
  async #ask(what, request, options) {
    return this.#in(options, (aborted) => this.#asker.ask(what, request, aborted));
  }

  /**
   * Does something while this mailbox is open, unless it is given up before.
   *
   * @template T
   * @param {Api.WaitOptions | undefined} options
   * @param {(aborted: Promise<never> | undefined) => Promise<T>} run
   * @returns {Promise<T>}
   */
  #in(options, run) {
    return patiently(options, (aborted) => {
      let isGivenUp = false;
      aborted?.catch(() => {
        isGivenUp = true;
      });
      const done = this.#turns.in(this.name, this.#readOnly, async () => {
        if (isGivenUp) {
          // Nobody waits for it any more.
          return /** @type {Promise<T>} */ (aborted);
        }
        this.#checkUids();
        return run(aborted);
      });
      return aborted === undefined ? done : Promise.race([done, aborted]);
    });
  }

  #checkUids() {
    const { selected } = this.#turns;
    if (selected !== null && selected.uidValidity !== this.uidValidity) {
      throw new JackfieldError('closed', `the UIDs of ${this.name} are others now: select it again`);
    }
  }
}

/** Whether no message is meant, which is no mistake. @param {unknown} uids */
function isNone(uids) {
  return Array.isArray(uids) && uids.length === 0;
}

/** @param {Api.ImapUids} uids @returns {any} */
function uidsOf(uids) {
  if (typeof uids === 'number') {
    return uidOf(uids);
  }
  if (typeof uids === 'string') {
    return uids;
  }
  if (Array.isArray(uids)) {
    return uids.map(uidOf);
  }
  throw invalid(`the UIDs are ${kindOf(uids)}, not a number, a list of them or a set as 1:5,7`);
}

/** @param {unknown} uid */
function uidOf(uid) {
  if (typeof uid !== 'number') {
    throw invalid(`the UID is ${kindOf(uid)}, not a number`);
  }
  if (!Number.isInteger(uid) || uid < 1 || uid > 0xffffffff) {
    throw invalid(`the UID is ${uid}, which is none`);
  }
  return uid;
}

/** @param {unknown} query */
function checkQuery(query) {
  const seen = checked('the query', /** @type {any} */ (query), QUERY);
  if (seen?.not !== undefined) {
    checkQuery(seen.not);
  }
  if (Array.isArray(seen?.or)) {
    seen.or.forEach(checkQuery);
  }
}

/**
 * Which text is meant: all of it, a part by its number, a part of a message as `parts` has it, or a header.
 *
 * @param {Api.ImapSection | undefined} part
 */
function section(part) {
  if (part === undefined || part === '') {
    return {};
  }
  if (typeof part === 'string') {
    const [, path = '', of] = /^([0-9.]*?)\.?(header|text)?$/i.exec(part) ?? ['', part];
    return { part: path, of: of?.toLowerCase() };
  }
  if (typeof part !== 'object' || part === null) {
    throw invalid(`the part is ${kindOf(part)}, not a string or one of a message's parts`);
  }
  return { part: text('path of the part', part.path), encoding: text('encoding of the part', part.encoding) };
}
