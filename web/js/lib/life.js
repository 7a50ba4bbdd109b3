// @ts-check
/**
 * The life of a client, whatever its protocol: its state, its promises, its end, and what wakes it where it waits
 * for its next attempt to connect.
 */

import { kindOf, options as checked } from './check.js';
import { settled } from './ending.js';
import { JackfieldError, invalid } from './error.js';

/** @import * as Api from '../common.d.ts' */

/**
 * A module's client, as far as this goes.
 *
 * @typedef {object} Living
 * @property {(told: (state: Api.ClientState, failure: Api.JackfieldError | undefined) => void) => void} watch
 *   Tells a function the state, now and whenever it changes; with `closed` why, where that was not in order.
 * @property {() => void} reconnectNow
 * @property {() => any} lostAt At whose place the last connection was lost.
 * @property {() => void} cut Ends it at once.
 */

export class Life {
  #client;
  /** @type {Api.JackfieldError | undefined} */
  #failure;
  /** The page's object, while something is asked of it. @type {object | undefined} */
  #owner;
  #asking = 0;
  /** @type {Api.ClientState} */
  state = 'connecting';
  /** Settles with the first connection that is ready, or with the end. @type {Promise<void>} */
  connected;
  /** Settles with the end. @type {Promise<void>} */
  closed;

  /**
   * @param {object} owner The page's object. Where nothing has it any more, the client is cut: it must not be
   *   reached from here, nor from what the module holds.
   * @param {Living} client
   */
  constructor(owner, client) {
    this.#client = client;
    const [connected, isConnected, notConnected] = settleable();
    const [closed, isClosed, hasFailed] = settleable();
    this.connected = connected;
    this.closed = closed;
    lives.add(this);
    client.watch((state, failure) => {
      this.state = state;
      this.#failure = failure;
      if (state === 'connected') {
        isConnected();
      } else if (state === 'closed') {
        lives.delete(this);
        notConnected(failure ?? new JackfieldError('closed', 'the client is closed'));
        failure ? hasFailed(failure) : isClosed();
      }
    });
    forgotten.register(owner, client);
  }

  /** Why it has ended; undefined while it has not, and where that was in order. */
  failure() { return this.#failure; }

  /** At whose place the last connection was lost; undefined while there is one. */
  lostAt() { return this.#client.lostAt(); }

  reconnectNow() { this.#client.reconnectNow(); }

  /**
   * What was asked of the client, as `settled`. Until there is an answer, somebody has the client.
   *
   * @template T
   * @param {object} owner
   * @param {Promise<T>} asked
   * @returns {Promise<T>}
   */
  async asked(owner, asked) {
    this.#owner = owner;
    this.#asking += 1;
    try {
      return await settled(this, asked);
    } finally {
      this.#asking -= 1;
      if (this.#asking === 0) {
        this.#owner = undefined;
      }
    }
  }
}

/** The clients that have not ended. Listens for what may bring a connection back while there are any. */
const lives = {
  /** @type {Set<Life>} */
  all: new Set(),

  /** @param {Life} life */
  add(life) {
    this.all.add(life);
    if (this.all.size === 1) {
      listen('addEventListener');
    }
  },

  /** @param {Life} life */
  delete(life) {
    if (this.all.delete(life) && this.all.size === 0) {
      listen('removeEventListener');
    }
  },
};

/** @param {'addEventListener' | 'removeEventListener'} how */
function listen(how) {
  // A worker has no more than the first of these.
  globalThis[how]('online', wake);
  globalThis[how]('pageshow', wake);
  globalThis.document?.[how]('visibilitychange', wakeIfVisible);
}

function wake() {
  for (const life of lives.all) {
    life.reconnectNow();
  }
}

function wakeIfVisible() {
  if (document.visibilityState === 'visible') {
    wake();
  }
}

/**
 * The module frees what no script has any more, but not a client that somebody waits for: what its events are kept
 * for, say. This does.
 *
 * @type {FinalizationRegistry<Living>}
 */
const forgotten = /* @__PURE__ */ new FinalizationRegistry((client) => client.cut());

/** @returns {[Promise<void>, () => void, (error: unknown) => void]} */
function settleable() {
  /** @type {any} */
  const how = [];
  const promise = new Promise((...both) => how.push(...both));
  // Whoever waits for it is told, and nobody else.
  promise.catch(() => undefined);
  return [/** @type {Promise<any>} */ (promise), how[0], how[1]];
}

/** The option `reconnect`. @param {Api.ReconnectOptions | false | undefined} value */
export function reconnect(value) {
  if (value !== undefined && value !== false) {
    if (typeof value !== 'object' || value === null) {
      throw invalid(`the option reconnect is ${kindOf(value)}, neither false nor an object`);
    }
    checked('reconnect', value, ['first', 'longest']);
  }
}
