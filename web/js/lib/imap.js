// @ts-check
/** The IMAP client of a page. What it is and does: imap.d.ts. */

import { address, kindOf, options as checked, text } from './check.js';
import { asyncDispose } from './ending.js';
import { JackfieldError, invalid } from './error.js';
import { Asker } from './imap-asker.js';
import { Mailbox } from './imap-mailbox.js';
import { Sync } from './imap-sync.js';
import { Turns } from './imap-turns.js';
import { Life, reconnect } from './life.js';
import { MAX_EVENTS, compose, source } from './mail.js';
import { WAIT, patiently } from './patience.js';
import { toBytes } from './payload.js';
import { Reading } from './reading.js';

/** @import * as Api from '../imap.d.ts' */

/** What `ImapOptions` has, and those of the methods. */
const OPTIONS = ['username', 'password', 'token', 'reconnect'];
const LIST = ['pattern', 'subscribed', 'status', ...WAIT];
const SELECT = ['readOnly', ...WAIT];
const APPEND = ['flags', 'date', 'progress', ...WAIT];
const DRAFT = ['progress', ...WAIT];

/** @implements {Api.Imap} */
export class Imap {
  #client;
  #asker;
  #life;
  /** @type {Reading<Api.ImapEvent, Api.ImapEvent>} */
  #events;
  #turns;

  /**
   * @param {any} network
   * @param {string | URL} url
   * @param {Api.ImapOptions} options
   */
  static async open(network, url, options) {
    const at = address('address', url);
    if (checked('imap()', options, OPTIONS) === undefined) {
      throw invalid('the options of imap() are missing');
    }
    reconnect(options.reconnect);
    return new Imap(network.imap(at, options));
  }

  /** @param {any} client */
  constructor(client) {
    this.#client = client;
    const asker = new Asker(client);
    this.#asker = asker;
    // What is told here must not know the page's object, which could not be forgotten then.
    const turns = new Turns((mailbox, readOnly) => asker.ask('select', { mailbox, readOnly }));
    this.#turns = turns;
    this.#life = new Life(this, client);
    const followed = (/** @type {Api.ImapEvent} */ event) => {
      follow(turns, event);
      return event;
    };
    const how = { most: MAX_EVENTS, isEager: true };
    this.#events = new Reading('events', this.#life, () => client.next(), followed, how);
  }

  get state() { return this.#life.state; }

  get connected() { return this.#life.connected; }

  get closed() { return this.#life.closed; }

  /** @returns {Api.ImapServer | null} */
  get server() { return this.#client.server(); }

  /** @param {Api.WaitOptions} [options] */
  async next(options) { return this.#events.next(checked('next()', options, WAIT)); }

  // The loop keeps the client.
  [Symbol.asyncIterator]() { return this.#events.each(() => void this.#life); }

  /** @param {Api.ImapListOptions} [options] @returns {Promise<Api.ImapMailboxInfo[]>} */
  async list(options) {
    const { signal, timeout, ...query } = checked('list()', options, LIST) ?? {};
    /** @type {Api.ImapMailboxInfo[]} */
    const listed = await this.#ask('list', query, options);
    if (query.status !== undefined) {
      // A server without LIST-STATUS is asked for each.
      for (const mailbox of listed.filter(({ selectable, status }) => selectable && status === null)) {
        mailbox.status = await this.status(mailbox.name, query.status, { signal, timeout });
      }
    }
    return listed;
  }

  /**
   * @param {string} mailbox
   * @param {readonly Api.ImapStatusItem[]} [items]
   * @param {Api.WaitOptions} [options]
   * @returns {Promise<Api.ImapStatus>}
   */
  async status(mailbox, items = ['messages', 'unseen', 'uidNext', 'uidValidity'], options = undefined) {
    checked('status()', options, WAIT);
    return this.#ask('status', { mailbox: text('mailbox', mailbox), items }, options);
  }

  /** @param {Api.WaitOptions} [options] @returns {Promise<Api.ImapNamespaces>} */
  async namespaces(options) {
    checked('namespaces()', options, WAIT);
    return this.#ask('namespaces', {}, options);
  }

  /** @param {string} mailbox @param {Api.WaitOptions} [options] @returns {Promise<Api.ImapQuota[]>} */
  async quotas(mailbox, options) { return this.#ofMailbox('quotas', mailbox, options); }

  /** @param {string} mailbox @param {Api.WaitOptions} [options] @returns {Promise<void>} */
  async create(mailbox, options) { return this.#ofMailbox('create', mailbox, options); }

  /** @param {string} mailbox @param {Api.WaitOptions} [options] @returns {Promise<void>} */
  async delete(mailbox, options) { return this.#ofMailbox('delete', mailbox, options); }

  /** @param {string} mailbox @param {string} to @param {Api.WaitOptions} [options] @returns {Promise<void>} */
  async rename(mailbox, to, options) {
    checked('rename()', options, WAIT);
    return this.#ask('rename', { mailbox: text('mailbox', mailbox), to: text('new name', to) }, options);
  }

  /** @param {string} mailbox @param {Api.WaitOptions} [options] @returns {Promise<void>} */
  async subscribe(mailbox, options) { return this.#ofMailbox('subscribe', mailbox, options); }

  /** @param {string} mailbox @param {Api.WaitOptions} [options] @returns {Promise<void>} */
  async unsubscribe(mailbox, options) { return this.#ofMailbox('unsubscribe', mailbox, options); }

  /**
   * @param {'personal' | 'subscribed' | readonly string[]} mailboxes
   * @param {Api.WaitOptions} [options]
   * @returns {Promise<void>}
   */
  async watch(mailboxes, options) {
    checked('watch()', options, WAIT);
    const none = Array.isArray(mailboxes) && mailboxes.length === 0;
    if (mailboxes === undefined) {
      throw invalid('the mailboxes are missing, not a list of names');
    }
    return this.#ask('notify', none ? {} : { watch: mailboxes }, options);
  }

  /** @param {string} mailbox @param {Api.ImapSelectOptions} [options] @returns {Promise<Api.ImapMailbox>} */
  async select(mailbox, options) {
    const { readOnly = false } = checked('select()', options, SELECT) ?? {};
    if (typeof readOnly !== 'boolean') {
      throw invalid(`the option readOnly is ${kindOf(readOnly)}, not true or false`);
    }
    const name = text('mailbox', mailbox);
    // Names that mean the same are one: INBOX has no case.
    const known = /^inbox$/i.test(name) ? 'INBOX' : name;
    const opened = async () => this.#turns.selected;
    const open = () => this.#turns.in(known, readOnly, opened);
    const selected = await patiently(options, (aborted) => unless(aborted, open()));
    if (selected === null) {
      throw new JackfieldError('closed', `${name} is no longer open`);
    }
    return /** @type {any} */ (new Mailbox(this.#asker, this.#turns, selected, readOnly));
  }

  /**
   * @param {string} mailbox
   * @param {Api.Body} message
   * @param {Api.ImapAppendOptions} [options]
   * @returns {Promise<Api.ImapAppended>}
   */
  async append(mailbox, message, options) {
    const { flags = [], date, progress } = checked('append()', options, APPEND) ?? {};
    text('mailbox', mailbox);
    if (date !== undefined && !(date instanceof Date)) {
      throw invalid(`the option date is ${kindOf(date)}, not a Date`);
    }
    return this.#upload('append', { mailbox, flags, date: date?.getTime() }, message, progress, options);
  }

  /**
   * @param {string} mailbox
   * @param {Api.Body} message
   * @param {number | null} [previous]
   * @param {Api.ImapDraftOptions} [options]
   * @returns {Promise<Api.ImapSavedDraft>}
   */
  async saveDraft(mailbox, message, previous, options) {
    const { progress } = checked('saveDraft()', options, DRAFT) ?? {};
    text('mailbox', mailbox);
    const what = { mailbox, flags: ['\\Draft', '\\Seen'] };
    if (previous === undefined || previous === null) {
      const saved = await this.#upload('append', what, message, progress, options);
      return { ...saved, former: null };
    }
    const before = this.#turns.selected;
    const replace = () => this.#upload('replace', { ...what, uid: previous }, message, progress, options);
    try {
      return await this.#turns.in(mailbox, false, replace);
    } finally {
      if (before !== null && before.name !== mailbox) {
        // News are of the mailbox that is open.
        this.#turns.in(before.name, before.readOnly, async () => undefined).catch(() => undefined);
      }
    }
  }

  /** @param {string} mailbox @param {Api.ImapSyncOptions} [options] */
  sync(mailbox, options) {
    return new Sync(this.#asker, this.#turns, mailbox, options);
  }

  /** @param {Api.Body} message @returns {Promise<Api.ParsedMessage>} */
  async parse(message) {
    if (message === undefined) {
      throw invalid('the message is missing');
    }
    return this.#client.parse(await toBytes(message));
  }

  /** @param {Api.MessageDraft} draft @returns {Promise<Api.ComposedMessage>} */
  async compose(draft) { return compose(this.#client, draft); }

  reconnectNow() { this.#life.reconnectNow(); }

  /** @param {Api.WaitOptions} [options] */
  async close(options) { return patiently(checked('close()', options, WAIT), () => this.#client.close()); }

  [asyncDispose]() { return this.close(); }

  /** @param {string} what @param {object} request @param {Api.WaitOptions} [options] @returns {Promise<any>} */
  async #ask(what, request, options) {
    return patiently(options, (aborted) => this.#asker.ask(what, request, aborted));
  }

  /** @param {string} what @param {string} mailbox @param {Api.WaitOptions} [options] */
  async #ofMailbox(what, mailbox, options) {
    checked(`${what}()`, options, WAIT);
    return this.#ask(what, { mailbox: text('mailbox', mailbox) }, options);
  }

  /**
   * @param {string} what
   * @param {object} request
   * @param {Api.Body} message
   * @param {((done: number, total: number | null) => void) | undefined} progress
   * @param {Api.WaitOptions | undefined} options
   */
  async #upload(what, request, message, progress, options) {
    if (message === undefined) {
      throw invalid('the message is missing');
    }
    const { size, pull, failure } = await source(message, true, progress);
    try {
      return await this.#ask(what, { ...request, size, pull }, options);
    } catch (error) {
      throw failure() ?? error;
    }
  }
}

/**
 * What comes of something, unless it is given up before.
 *
 * @template T
 * @param {Promise<never> | undefined} aborted
 * @param {Promise<T>} work
 */
function unless(aborted, work) {
  return aborted === undefined ? work : Promise.race([work, aborted]);
}

/** Keeps what is known of the mailbox that is open. @param {Turns} turns @param {any} event */
function follow(turns, event) {
  const { selected } = turns;
  switch (event.type) {
    case 'exists':
      if (selected !== null) {
        selected.exists = event.count;
      }
      break;
    case 'expunged':
      if (selected !== null) {
        selected.exists = Math.max(0, selected.exists - (event.uids?.length ?? 1));
      }
      break;
    case 'reselected':
      if (selected !== null && selected.name === event.mailbox.name) {
        Object.assign(selected, event.mailbox);
      }
      break;
    case 'notReselected':
      turns.selected = null;
      break;
  }
}
