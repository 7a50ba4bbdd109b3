// @ts-check
/** The CoAP client of a page. What it is and does: jackfield.d.ts. */

import { Payload, toBytes } from './payload.js';

/** @import * as Api from './jackfield.d.ts' */

/** @implements {Api.Coap} */
export class Coap {
  #client;

  /** @param {import('./generated/jackfield_web.js').Coap} client */
  constructor(client) {
    this.#client = client;
  }

  /** @returns {Api.Security | null} */
  get security() { return this.#client.security; }

  /** @param {string} [path] @param {Api.CoapRequestOptions} [options] */
  get(path, options) { return this.#ask('GET', path, undefined, options); }

  /** @param {string} path @param {Api.CoapPayload} [payload] @param {Api.CoapRequestOptions} [options] */
  put(path, payload, options) { return this.#ask('PUT', path, toBytes(payload), options); }

  /** @param {string} path @param {Api.CoapPayload} [payload] @param {Api.CoapRequestOptions} [options] */
  post(path, payload, options) { return this.#ask('POST', path, toBytes(payload), options); }

  /** @param {string} path @param {Api.CoapRequestOptions} [options] */
  delete(path, options) { return this.#ask('DELETE', path, undefined, options); }

  /** @param {string} path @param {Api.CoapPayload} payload @param {Api.CoapRequestOptions} [options] */
  fetch(path, payload, options) { return this.#ask('FETCH', path, toBytes(payload), options); }

  /** @param {string} path @param {Api.CoapPayload} payload @param {Api.CoapRequestOptions} [options] */
  patch(path, payload, options) { return this.#ask('PATCH', path, toBytes(payload), options); }

  /** @param {string} path @param {Api.CoapPayload} payload @param {Api.CoapRequestOptions} [options] */
  iPatch(path, payload, options) { return this.#ask('iPATCH', path, toBytes(payload), options); }

  /** @param {string} [path] @param {Api.CoapObserveOptions} [options] */
  observe(path, options) { return new Observation(this.#client.observe(path, options)); }

  /** @param {string} [query] @param {Api.CoapRequestOptions} [options] @returns {Promise<Api.CoapLink[]>} */
  discover(query, options) { return this.#client.discover(query, abortable(options)); }

  ping() { return this.#client.ping(); }

  close() { return this.#client.close(); }

  /**
   * @param {string} method
   * @param {string | undefined} path
   * @param {Uint8Array | undefined} payload
   * @param {Api.CoapRequestOptions | undefined} options
   */
  async #ask(method, path, payload, options) {
    options?.signal?.throwIfAborted();
    return toResponse(await this.#client.request(method, path, payload, abortable(options)));
  }
}

/** @implements {Api.CoapObservation} */
class Observation {
  #begun;

  /** @param {Promise<import('./generated/jackfield_web.js').CoapObservation>} begun */
  constructor(begun) {
    this.#begun = begun;
    // Whoever iterates is told there.
    begun.catch(() => undefined);
  }

  async next() {
    const fields = await (await this.#begun).next();
    return fields === null ? null : toResponse(fields);
  }

  async* [Symbol.asyncIterator]() {
    try {
      for (;;) {
        const response = await this.next();
        if (response === null) {
          return;
        }
        yield response;
      }
    } finally {
      this.cancel();
    }
  }

  cancel() {
    this.#begun.then((observation) => observation.cancel(), () => undefined);
  }
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
