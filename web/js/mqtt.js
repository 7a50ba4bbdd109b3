// @ts-check
/** The MQTT client of a page. What it is and does: jackfield.d.ts. */

import { Payload, toBytes } from './payload.js';

/** @import * as Api from './jackfield.d.ts' */

/** How many events wait for a page that has not asked for any; older ones go. */
const MAX_UNASKED = 100;

/** @implements {Api.Mqtt} */
export class Mqtt {
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
