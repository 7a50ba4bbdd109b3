// @ts-check
/** A copy of mailboxes in this origin's IndexedDB: imap.d.ts. */

import { kindOf, options as checked, text } from './check.js';
import { asyncDispose } from './ending.js';
import { JackfieldError, invalid } from './error.js';

/** @import * as Api from '../imap.d.ts' */

/** The object stores of a copy, and the version of the database that has them. */
const MAILBOXES = 'mailboxes';
const MESSAGES = 'messages';
const VERSION = 1;

const LIST = ['newest', 'before'];

/** What copies are called among the databases of the origin. @param {string} name */
const databaseOf = (name) => `jackfield-mail/${name}`;

/** @param {string} name @returns {Promise<Api.MailCopy>} */
export async function openMailCopy(name) {
  text('name', name);
  if (typeof indexedDB === 'undefined') {
    throw new JackfieldError('unsupported', 'there is no IndexedDB here');
  }
  const asked = indexedDB.open(databaseOf(name), VERSION);
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore(MAILBOXES, { keyPath: 'name' });
    asked.result.createObjectStore(MESSAGES, { keyPath: ['mailbox', 'uid'] });
  };
  const database = await result(asked, `the copy ${name} can't be opened`);
  // Another tab may want to remove it.
  database.onversionchange = () => database.close();
  return new Copy(name, database);
}

/** @param {string} name @returns {Promise<void>} */
export async function deleteMailCopy(name) {
  await result(indexedDB.deleteDatabase(databaseOf(text('name', name))), `the copy ${name} can't be removed`);
}

/**
 * The copy that a synchronisation keeps, for it alone: of one mailbox one at a time, in whichever tab.
 *
 * @param {string | Api.MailCopy} store
 * @param {string} mailbox
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<{ copy: Copy, release: () => void }>}
 */
export async function copyOf(store, mailbox, signal) {
  if (typeof store !== 'string' && !(store instanceof Copy)) {
    throw invalid(`the option store is ${kindOf(store)}, not a name or a copy`);
  }
  const copy = /** @type {Copy} */ (typeof store === 'string' ? await openMailCopy(store) : store);
  const unlock = await lock(`${databaseOf(copy.name)}/${mailbox}`, signal);
  return {
    copy,
    release() {
      unlock();
      if (typeof store === 'string') {
        copy.close();
      }
    },
  };
}

/** @implements {Api.MailCopy} */
class Copy {
  #database;

  /** @param {string} name @param {IDBDatabase} database */
  constructor(name, database) {
    this.name = name;
    this.#database = database;
  }

  /** @returns {Promise<Api.MailCopyMailbox[]>} */
  async mailboxes() {
    const [mailboxes, messages] = this.#begin('readonly');
    const known = await result(mailboxes.getAll(), 'the mailboxes can\'t be read');
    const counts = known.map(({ name }) => result(messages.count(within(name)), 'the messages can\'t be counted'));
    const all = await Promise.all(counts);
    return known.map(({ name }, at) => ({ name, count: all[at] ?? 0 }));
  }

  /** @param {string} mailbox @returns {Promise<Uint8Array<ArrayBuffer> | null>} */
  async state(mailbox) {
    const [mailboxes] = this.#begin('readonly');
    const known = await result(mailboxes.get(text('mailbox', mailbox)), 'the state can\'t be read');
    return known?.state ?? null;
  }

  /** @param {string} mailbox @param {Api.MailCopyListOptions} [options] @returns {Promise<Api.ImapMessage[]>} */
  async messages(mailbox, options) {
    const { newest = Infinity, before } = checked('messages()', options, LIST) ?? {};
    const [, messages] = this.#begin('readonly');
    const range = within(text('mailbox', mailbox), before);
    /** @type {Api.ImapMessage[]} */
    const found = [];
    if (!(newest > 0)) {
      return found;
    }
    return new Promise((resolve, reject) => {
      const asked = messages.openCursor(range, 'prev');
      asked.onerror = () => reject(failed('the messages can\'t be read', asked.error));
      asked.onsuccess = () => {
        const cursor = asked.result;
        if (cursor !== null) {
          const { mailbox: _, ...message } = cursor.value;
          found.push(message);
        }
        if (cursor === null || found.length >= newest) {
          return resolve(found);
        }
        cursor.continue();
      };
    });
  }

  /** @param {string} mailbox @param {number} uid @returns {Promise<Api.ImapMessage | null>} */
  async get(mailbox, uid) {
    const [, messages] = this.#begin('readonly');
    const found = await result(messages.get([text('mailbox', mailbox), uid]), 'the message can\'t be read');
    if (found === undefined) {
      return null;
    }
    const { mailbox: _, ...message } = found;
    return message;
  }

  /** @param {string} mailbox @returns {Promise<void>} */
  async forget(mailbox) {
    const [mailboxes, messages] = this.#begin('readwrite');
    mailboxes.delete(text('mailbox', mailbox));
    messages.delete(within(mailbox));
    await done(messages.transaction);
  }

  /**
   * All of these changes and the state that has them, or none.
   *
   * @param {string} mailbox
   * @param {readonly Api.ImapChange[]} changes
   * @param {Uint8Array} state
   * @returns {Promise<void>}
   */
  async apply(mailbox, changes, state) {
    const [mailboxes, messages] = this.#begin('readwrite');
    for (const change of changes) {
      switch (change.type) {
        case 'reset':
          messages.delete(within(mailbox));
          break;
        case 'gone':
          for (const uid of change.uids) {
            messages.delete([mailbox, uid]);
          }
          break;
        case 'new':
          messages.put({ ...change.message, mailbox });
          break;
        case 'flags': {
          const { uid, flags, modseq } = change;
          const asked = messages.get([mailbox, uid]);
          asked.onsuccess = () => {
            if (asked.result !== undefined) {
              messages.put({ ...asked.result, flags, ...(modseq === null ? {} : { modseq }) });
            }
          };
          break;
        }
      }
    }
    mailboxes.put({ name: mailbox, state });
    await done(messages.transaction);
  }

  close() { this.#database.close(); }

  async [asyncDispose]() { this.close(); }

  /** @param {IDBTransactionMode} mode @returns {[IDBObjectStore, IDBObjectStore]} */
  #begin(mode) {
    try {
      const transaction = this.#database.transaction([MAILBOXES, MESSAGES], mode);
      return [transaction.objectStore(MAILBOXES), transaction.objectStore(MESSAGES)];
    } catch (error) {
      throw failed(`the copy ${this.name} is closed`, error);
    }
  }
}

/** The messages of a mailbox, those below a UID where one is given. @param {string} mailbox @param {number} [before] */
function within(mailbox, before) {
  // An array is behind all numbers.
  return IDBKeyRange.bound([mailbox], [mailbox, before ?? []], false, true);
}

/** @template T @param {IDBRequest<T>} asked @param {string} what @returns {Promise<T>} */
function result(asked, what) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(failed(what, asked.error));
  });
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function done(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(failed('the copy can\'t be changed', transaction.error));
  });
}

/** @param {string} what @param {unknown} cause */
function failed(what, cause) {
  const said = cause instanceof Error ? `: ${cause.message}` : '';
  return new JackfieldError('storage', what + said, { cause });
}

/**
 * Waits until nobody else has this lock; where there are no locks, as on pages that came over plain HTTP, at once.
 *
 * @param {string} name
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<() => void>}
 */
function lock(name, signal) {
  if (typeof navigator === 'undefined' || navigator.locks === undefined) {
    return Promise.resolve(() => undefined);
  }
  return new Promise((resolve, reject) => {
    const held = () => new Promise((/** @type {(value: void) => void} */ unlock) => {
      resolve(unlock);
    });
    navigator.locks.request(name, signal === undefined ? {} : { signal }, held).catch(reject);
  });
}
