// @ts-check
/** Jackfield for web pages. What each thing is and does: jackfield.d.ts. */

import init, { Network as WasmNetwork } from './generated/jackfield_web.js';

/** @import * as Api from './jackfield.d.ts' */

/** @type {Promise<unknown> | undefined} */
let loaded;

/**
 * @param {Api.OpenOptions} options
 * @returns {Promise<Api.Network>}
 */
export async function open(options = {}) {
  // Loaded once, and tried again if that failed: the network may be better by then.
  const module = new URL('./generated/jackfield_web_bg.wasm', import.meta.url);
  loaded ??= init({ module_or_path: module }).catch((error) => {
    loaded = undefined;
    throw error;
  });
  await loaded;
  const network = WasmNetwork.open(options);
  return {
    kind: /** @type {Api.Network['kind']} */ (network.kind ?? null),
    irc: async (to) => new Irc(built(network, 'irc').irc(to)),
    mqtt: async (url, how = {}) => new Mqtt(await built(network, 'mqtt').mqtt(url, how)),
    coap: async (url, how = {}) => new Coap(await built(network, 'coap').coap(url, how)),
  };
}

/** The network, where this build has the protocol. @param {WasmNetwork} network @param {string} protocol */
function built(network, protocol) {
  if (protocol in network) {
    return network;
  }
  const error = new Error(`Jackfield was built without ${protocol}`);
  throw Object.assign(error, { name: 'JackfieldError', kind: 'unsupported' });
}

/** @implements {Api.Irc} */
class Irc {
  #client;

  /** @param {import('./generated/jackfield_web.js').Irc} client */
  constructor(client) {
    this.#client = client;
  }

  next() { return this.#client.next(); }

  async* [Symbol.asyncIterator]() {
    try {
      for (;;) {
        const event = await this.next();
        if (event === null) {
          return;
        }
        yield event;
      }
    } finally {
      // Whoever leaves the loop has done with the connection.
      void this.close();
    }
  }

  /** @param {string} channel @param {string} [key] */
  join(channel, key) { return this.#client.join(channel, key); }

  /** @param {string} channel @param {string} [reason] */
  part(channel, reason) { return this.#client.part(channel, reason); }

  /** @param {string} target @param {string} text */
  say(target, text) { return this.#client.say(target, text); }

  /** @param {string} target @param {string} text */
  action(target, text) { return this.#client.action(target, text); }

  /** @param {string} target @param {string} text */
  notice(target, text) { return this.#client.notice(target, text); }

  /** @param {string} channel */
  topic(channel) { return this.#client.topic(channel); }

  /** @param {string} channel @param {string} topic */
  setTopic(channel, topic) { return this.#client.setTopic(channel, topic); }

  /** @param {string} nick */
  setNick(nick) { return this.#client.setNick(nick); }

  /** @param {string} [reason] */
  setAway(reason) { return this.#client.setAway(reason); }

  /** @param {string} [reason] */
  close(reason) { return this.#client.close(reason); }
}

/** How many events wait for a page that has not asked for any; older ones go. */
const MAX_UNASKED = 100;

/** @implements {Api.Mqtt} */
class Mqtt {
  #client;
  /** Events that came before the page asked for any. @type {(Api.MqttEvent | null)[]} */
  #unasked = [];
  /** The next one, while it is waited for without having been asked. @type {Promise<Api.MqttEvent | null> | null} */
  #waiting = null;
  #asked = false;

  /** @param {import('./generated/jackfield_web.js').Mqtt} client */
  constructor(client) {
    this.#client = client;
  }

  async next() {
    this.#asked = true;
    if (this.#unasked.length > 0) {
      return this.#unasked.shift() ?? null;
    }
    const waiting = this.#waiting;
    this.#waiting = null;
    return waiting ?? this.#event();
  }

  async* [Symbol.asyncIterator]() {
    for (;;) {
      const event = await this.next();
      if (event === null) {
        return;
      }
      yield event;
    }
  }

  /** @param {string} topic @param {Api.MqttPayload} [payload] @param {Api.MqttPublishOptions} [options] */
  publish(topic, payload, options) {
    this.#takeUnasked();
    const publication = this.#client.enqueue(topic, toBytes(payload), options);
    const queued = publication.then(() => undefined);
    // Whoever waits for the outcome is told there.
    queued.catch(() => undefined);
    return Object.assign(publication.then((taken) => toReply(taken.outcome())), { queued });
  }

  published() { return this.#client.published(); }

  /** @param {string} filter @param {Api.MqttSubscribeOptions} [options] */
  subscribe(filter, options) {
    this.#takeUnasked();
    const message = (/** @type {object} */ fields) => new Message(fields, this.#client);
    return new Subscription(filter, this.#client.subscribe(filter, options), message);
  }

  /** @param {string} topic @param {Api.MqttPayload} [payload] @param {Api.MqttRequestOptions} [options] */
  async request(topic, payload, options) {
    this.#takeUnasked();
    const response = await this.#client.request(topic, toBytes(payload), options);
    return /** @type {Api.MqttMessage} */ (/** @type {unknown} */ (new Message(response, this.#client)));
  }

  /** @param {{ will?: boolean }} [options] */
  close({ will = false } = {}) { return this.#client.close(will); }

  /** @returns {Promise<Api.MqttEvent | null>} */
  async #event() {
    const event = await this.#client.next();
    return event?.type === 'message' ? { ...event, message: new Message(event.message, this.#client) } : event;
  }

  /** What a page that only publishes or subscribes never asks for must not hold the client back. */
  async #takeUnasked() {
    while (!this.#asked && this.#waiting === null) {
      const waiting = this.#event();
      this.#waiting = waiting;
      const event = await waiting;
      if (this.#waiting !== waiting) {
        return;
      }
      this.#waiting = null;
      this.#unasked.push(event);
      this.#unasked.splice(0, this.#unasked.length - MAX_UNASKED);
      if (event === null) {
        return;
      }
    }
  }
}

/** @implements {Api.MqttSubscription} */
class Subscription {
  #subscribed;
  #message;

  /**
   * @param {string} filter
   * @param {Promise<import('./generated/jackfield_web.js').MqttSubscription>} subscribed
   * @param {(fields: object) => any} message
   */
  constructor(filter, subscribed, message) {
    this.filter = filter;
    this.#subscribed = subscribed;
    this.#message = message;
    this.granted = subscribed.then(() => undefined);
    // Whoever iterates is told there.
    this.granted.catch(() => undefined);
  }

  /** @returns {Promise<Api.MqttMessage | null>} */
  async next() {
    const fields = await (await this.#subscribed).next();
    return fields === null ? null : this.#message(fields);
  }

  async* [Symbol.asyncIterator]() {
    try {
      for (;;) {
        const message = await this.next();
        if (message === null) {
          return;
        }
        yield message;
      }
    } finally {
      // Whoever leaves the loop has done with it; one that was refused has nothing to end.
      this.unsubscribe().catch(() => undefined);
    }
  }

  async unsubscribe() { return toReply((await this.#subscribed).unsubscribe()); }
}

/** @param {Promise<object>} fields */
function toReply(fields) {
  return /** @type {Promise<Api.MqttReply>} */ (fields);
}

/** @implements {Api.Coap} */
class Coap {
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

/** What messages and answers have in common. */
class Payload {
  payload = new Uint8Array();

  text() { return new TextDecoder().decode(this.payload); }

  /** @returns {unknown} */
  json() { return JSON.parse(this.text()); }
}

class Message extends Payload {
  #client;
  /** @type {number | null} */
  serial = null;

  /** @param {object} fields @param {import('./generated/jackfield_web.js').Mqtt} client */
  constructor(fields, client) {
    super();
    Object.assign(this, fields);
    this.#client = client;
  }

  async acknowledge(code = 0) {
    if (this.serial !== null) {
      await this.#client.acknowledge(this.serial, code);
    }
  }
}

/** @param {Api.MqttPayload | undefined} payload */
function toBytes(payload = '') {
  if (typeof payload === 'string') {
    return new TextEncoder().encode(payload);
  }
  return payload instanceof ArrayBuffer ? new Uint8Array(payload) : payload;
}
