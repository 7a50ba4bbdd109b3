// @ts-check
/** The CoAP client of a page. What it is and does: the .d.ts. */

import { address, kindOf, optionalText, options as checked } from './check.js';
import { asyncDispose, each } from './ending.js';
import { invalid } from './error.js';
import { Payload, toBytes } from './payload.js';

/** @import * as Api from '../index.d.ts' */

/** What `OscoreOptions`, `CoapRequestOptions` and `CoapObserveOptions` have. */
const OSCORE = ['masterSecret', 'masterSalt', 'senderId', 'recipientId', 'idContext', 'store'];
const REQUEST = [
  'signal', 'format', 'accept', 'ifMatch', 'ifNoneMatch', 'etag', 'confirmable', 'progress', 'hopLimit', 'uriHost',
  'proxyUri', 'proxyScheme', 'options',
];
const OBSERVE = [...REQUEST, 'stale'];

/** @implements {Api.Coap} */
export class Coap {
  #client;

  /**
   * @param {import('../wasm/index.js').Network} network
   * @param {string | URL} url
   * @param {Api.CoapOptions} [how]
   */
  static async open(network, url, how) {
    const at = address('address', url);
    const options = checked('coap()', how, ['oscore', 'blockSize', 'maxCacheBytes']) ?? {};
    checked('oscore', options.oscore, OSCORE);
    return new Coap(await network.coap(at, options));
  }

  /** @param {import('../wasm/index.js').Coap} client */
  constructor(client) {
    this.#client = client;
  }

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
    return new Observation(this.#client.observe(optionalText('path', path), given));
  }

  /** @param {string} [query] @param {Api.CoapRequestOptions} [options] @returns {Promise<Api.CoapLink[]>} */
  async discover(query, options) {
    checked('discover()', options, REQUEST);
    options?.signal?.throwIfAborted();
    return this.#client.discover(optionalText('query', query), abortable(options));
  }

  ping() { return this.#client.ping(); }

  close() { return this.#client.close(); }

  [asyncDispose]() { return this.close(); }

  /**
   * @param {string} method
   * @param {string | undefined} path
   * @param {Api.Body | undefined} payload
   * @param {Api.CoapRequestOptions | undefined} options
   */
  async #ask(method, path, payload, options) {
    const given = more(checked(`${method.toLowerCase()}()`, options, REQUEST));
    options?.signal?.throwIfAborted();
    optionalText('path', path);
    const bytes = payload === undefined ? undefined : await toBytes(payload);
    options?.signal?.throwIfAborted();
    return toResponse(await this.#client.request(method, path, bytes, abortable(given)));
  }
}

/** @implements {Api.CoapObservation} */
class Observation {
  #begun;

  /** @param {Promise<import('../wasm/index.js').CoapObservation>} begun */
  constructor(begun) {
    this.#begun = begun;
    // Whoever iterates is told there.
    begun.catch(() => undefined);
  }

  async next() {
    const fields = await (await this.#begun).next();
    return fields === null ? null : toResponse(fields);
  }

  [Symbol.asyncIterator]() { return each(this, () => this.cancel()); }

  cancel() {
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

/** A signal as a promise that fails. @param {Api.CoapRequestOptions} [options] */
function abortable(options) {
  const signal = options?.signal;
  if (!signal) {
    return options;
  }
  const aborted = new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => undefined);
  return { ...options, aborted };
}
