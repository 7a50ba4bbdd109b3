// @ts-check
/** The CoAP client of a page. What it is and does: the .d.ts. */

import { address, kindOf, optionalCount, optionalText, options as checked } from './check.js';
import { asyncDispose } from './ending.js';
import { invalid } from './error.js';
import { Life, reconnect } from './life.js';
import { WAIT, late, mayWait, patiently } from './patience.js';
import { Payload, toBytes } from './payload.js';
import { Reading } from './reading.js';

/** @import * as Api from '../index.d.ts' */

/** What `OscoreOptions`, `CoapRequestOptions` and `CoapObserveOptions` have. */
const OSCORE = ['masterSecret', 'masterSalt', 'senderId', 'recipientId', 'idContext', 'store'];
const REQUEST = [
  'format', 'accept', 'ifMatch', 'ifNoneMatch', 'etag', 'confirmable', 'progress', 'hopLimit', 'uriHost',
  'proxyUri', 'proxyScheme', 'options', ...WAIT,
];
const OBSERVE = [...REQUEST, 'stale'];

/** @implements {Api.Coap} */
export class Coap {
  #client;
  #life;

  /**
   * @param {import('../wasm/index.js').Network} network
   * @param {string | URL} url
   * @param {Api.CoapOptions} [how]
   */
  static async open(network, url, how) {
    const at = address('address', url);
    const options = checked('coap()', how, ['oscore', 'blockSize', 'maxCacheBytes', 'reconnect']) ?? {};
    reconnect(options.reconnect);
    checked('oscore', options.oscore, OSCORE);
    return new Coap(await network.coap(at, options));
  }

  /** @param {import('../wasm/index.js').Coap} client */
  constructor(client) {
    this.#client = client;
    this.#life = new Life(this, client);
  }

  get state() { return this.#life.state; }

  get connected() { return this.#life.connected; }

  get closed() { return this.#life.closed; }

  reconnectNow() { this.#life.reconnectNow(); }

  /** @returns {Api.Security | null} */
  get security() { return this.#client.security; }

  /** @param {string} [path] @param {Api.CoapRequestOptions} [options] */
  get(path, options) { return this.#ask('GET', path, undefined, options); }

  /** @param {string} path @param {Api.Body} [payload] @param {Api.CoapRequestOptions} [options] */
  put(path, payload = '', options = undefined) { return this.#ask('PUT', path, payload, options); }

  /** @param {string} path @param {Api.Body} [payload] @param {Api.CoapRequestOptions} [options] */
  post(path, payload = '', options = undefined) { return this.#ask('POST', path, payload, options); }

  /** @param {string} path @param {Api.CoapRequestOptions} [options] */
  delete(path, options) { return this.#ask('DELETE', path, undefined, options); }

  /** @param {string} path @param {Api.Body} payload @param {Api.CoapRequestOptions} [options] */
  fetch(path, payload = '', options = undefined) { return this.#ask('FETCH', path, payload, options); }

  /** @param {string} path @param {Api.Body} payload @param {Api.CoapRequestOptions} [options] */
  patch(path, payload = '', options = undefined) { return this.#ask('PATCH', path, payload, options); }

  /** @param {string} path @param {Api.Body} payload @param {Api.CoapRequestOptions} [options] */
  iPatch(path, payload = '', options = undefined) { return this.#ask('iPATCH', path, payload, options); }

  /** @param {string} [path] @param {Api.CoapObserveOptions} [options] */
  observe(path, options) {
    const given = more(checked('observe()', options, OBSERVE));
    mayWait(options);
    return new Observation(this.#client.observe(optionalText('path', path), given), this, this.#life, options);
  }

  /** @param {string} [query] @param {Api.CoapRequestOptions} [options] @returns {Promise<Api.CoapLink[]>} */
  async discover(query, options) {
    return patiently(checked('discover()', options, REQUEST), (aborted) =>
      this.#life.asked(this, this.#client.discover(optionalText('query', query), { ...options, aborted })));
  }

  /** @param {Api.WaitOptions} [options] */
  async ping(options) { return patiently(checked('ping()', options, WAIT), () =>
      this.#life.asked(this, this.#client.ping())); }

  /** @param {Api.WaitOptions} [options] */
  async close(options) { return patiently(checked('close()', options, WAIT), () => this.#client.close()); }

  [asyncDispose]() { return this.close(); }

  /**
   * @param {string} method
   * @param {string | undefined} path
   * @param {Api.Body | undefined} payload
   * @param {Api.CoapRequestOptions | undefined} options
   */
  async #ask(method, path, payload, options) {
    const given = more(checked(`${method.toLowerCase()}()`, options, REQUEST));
    return patiently(options, async (aborted) => {
      optionalText('path', path);
      const bytes = payload === undefined ? undefined : await toBytes(payload);
      // Where it was given up meanwhile, nothing is sent.
      const asked = this.#client.request(method, path, bytes, { ...given, aborted });
      return toResponse(await this.#life.asked(this, asked));
    });
  }
}

/** What `CoapGroupRequestOptions` has. */
const GROUP_REQUEST = [...REQUEST.filter((name) => !['confirmable', 'progress', 'timeout'].includes(name)), 'window'];

/** How long members of a group are listened to, in milliseconds, unless it is told otherwise. */
const WINDOW = 10_000;

/** @implements {Api.CoapGroup} */
export class CoapGroup {
  #client;
  #life;

  /**
   * @param {import('../wasm/index.js').Network} network
   * @param {string | URL} url
   * @param {Api.CoapGroupOptions} [how]
   */
  static async open(network, url, how) {
    const at = address('address', url);
    reconnect(checked('coapGroup()', how, ['interface', 'reconnect'])?.reconnect);
    return new CoapGroup(network.coapGroup(at, how));
  }

  /** @param {import('../wasm/index.js').CoapGroup} client */
  constructor(client) {
    this.#client = client;
    this.#life = new Life(this, client);
  }

  get state() { return this.#life.state; }

  get connected() { return this.#life.connected; }

  get closed() { return this.#life.closed; }

  reconnectNow() { this.#life.reconnectNow(); }

  /** @param {string} [path] @param {Api.CoapGroupRequestOptions} [options] */
  get(path, options) { return this.#ask('GET', path, undefined, options); }

  /** @param {string} path @param {Api.Body} [payload] @param {Api.CoapGroupRequestOptions} [options] */
  put(path, payload = '', options = undefined) { return this.#ask('PUT', path, payload, options); }

  /** @param {string} path @param {Api.Body} [payload] @param {Api.CoapGroupRequestOptions} [options] */
  post(path, payload = '', options = undefined) { return this.#ask('POST', path, payload, options); }

  /** @param {string} [query] @param {Api.CoapGroupRequestOptions} [options] */
  discover(query, options) {
    const narrowed = optionalText('query', query);
    const path = `/.well-known/core${narrowed === undefined ? '' : `?${narrowed}`}`;
    return /** @type {any} */ (this.#ask(undefined, path, undefined, options));
  }

  /** @param {Api.WaitOptions} [options] */
  async close(options) { return patiently(checked('close()', options, WAIT), () => this.#client.close()); }

  [asyncDispose]() { return this.close(); }

  /**
   * @param {string | undefined} method Without one, links are asked for.
   * @param {string | undefined} path
   * @param {Api.Body | undefined} payload
   * @param {Api.CoapGroupRequestOptions | undefined} options
   */
  #ask(method, path, payload, options) {
    const { window = WINDOW, ...given } =
      more(checked(`${method?.toLowerCase() ?? 'discover'}()`, options, GROUP_REQUEST)) ?? {};
    optionalText('path', path);
    optionalCount('window', window);
    mayWait(given);
    const ask = async () => {
      const bytes = payload === undefined ? undefined : await toBytes(payload);
      return this.#client.ask(method, path, bytes, window, given);
    };
    return /** @type {Api.CoapAnswers<Api.CoapGroupResponse>} */ (/** @type {unknown} */ (
      new Observation(ask(), this, this.#life, given, 'answers')));
  }
}

/**
 * What comes of one question, one by one: the states of a resource, or the answers of a group.
 *
 * @implements {Api.CoapObservation}
 */
class Observation {
  #device;
  #begun;
  /** @type {Reading<object, Api.CoapResponse>} */
  #states;
  /** No longer heeds the signal. @type {() => void} */
  #unheed = () => undefined;

  /**
   * @param {Promise<import('../wasm/index.js').CoapObservation | import('../wasm/index.js').CoapAnswers>} begun
   * @param {Coap | CoapGroup} device
   * @param {Life} life
   * @param {Api.WaitOptions} [options]
   * @param {string} [what] What they are, for errors.
   */
  constructor(begun, device, life, options, what = 'states') {
    // Whoever has an observation has the client.
    this.#device = device;
    this.#begun = begun;
    // Whoever iterates is told there.
    begun.catch(() => undefined);
    const { signal, timeout } = options ?? {};
    // Whether the first comes in time is seen here, whenever it is read.
    let first = timeout === undefined ? undefined : begun.then((source) => source.next());
    const pull = async () => {
      const next = first ?? (await begun).next();
      first = undefined;
      return next;
    };
    this.#states = new Reading(what, life, pull, toResponse);
    const fail = (/** @type {unknown} */ reason) => {
      this.#states.fail(reason);
      this.cancel();
    };
    const abort = () => fail(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const timer = timeout === undefined ? undefined : setTimeout(() => fail(late(timeout)), timeout);
    first?.then(() => clearTimeout(timer), () => clearTimeout(timer));
    this.#unheed = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
  }

  /** @param {Api.WaitOptions} [options] */
  async next(options) { return this.#states.next(checked('next()', options, WAIT)); }

  [Symbol.asyncIterator]() { return this.#states.each(() => this.cancel()); }

  cancel() {
    void this.#device;
    this.#unheed();
    this.#begun.then((observation) => observation.cancel(), () => undefined);
  }

  async [asyncDispose]() { this.cancel(); }
}

/**
 * The same options, where `options` among them is pairs of a number and a value that can be sent.
 *
 * @template {{ options?: readonly Api.CoapOption[] }} T
 * @param {T | undefined} given
 * @returns {T | undefined}
 */
function more(given) {
  if (given?.options === undefined) {
    return given;
  }
  if (!Array.isArray(given.options)) {
    throw invalid(`the options are ${kindOf(given.options)}, not an array of pairs`);
  }
  const pairs = given.options.map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw invalid(`an option is ${kindOf(pair)}, not a pair of its number and its value`);
    }
    const [number, value] = pair;
    const fits = typeof value === 'string' || typeof value === 'number' || ArrayBuffer.isView(value);
    if (!fits) {
      throw invalid(`the value of the option ${number} is ${kindOf(value)}, not a string, bytes or a number`);
    }
    return [number, ArrayBuffer.isView(value) ? toBytes(value) : value];
  });
  return /** @type {T} */ ({ ...given, options: pairs });
}

/** @param {object} fields */
function toResponse(fields) {
  return /** @type {Api.CoapResponse} */ (Object.assign(new Payload(), fields));
}
