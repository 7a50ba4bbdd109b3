// @ts-check
/** The MQTT client of a page. What it is and does: the .d.ts. */

import { address, kindOf, options as checked, text, texts } from './check.js';
import { asyncDispose, each, nextOf, settled } from './ending.js';
import { invalid } from './error.js';
import { Payload, toBytes } from './payload.js';

/** @import * as Api from '../index.d.ts' */

/** What `MqttOptions` has, and what the objects within it have. */
const OPTIONS = [
  'version', 'clientId', 'username', 'password', 'renew', 'will', 'cleanStart', 'sessionExpiry', 'keepAlive',
  'reconnect', 'store', 'manualAcknowledgement', 'userProperties', 'receiveMaximum', 'maximumPacketSize',
  'topicAliasMaximum', 'authentication',
];
const AUTHENTICATION = ['method', 'step'];
const RECONNECT = ['first', 'longest'];
/** What `MqttPublishOptions`, `MqttRequestOptions` and `MqttSubscribeOptions` have. */
const PUBLISH = ['qos', 'retain', 'expiry', 'contentType', 'userProperties', 'responseTopic', 'correlationData'];
const WILL = ['topic', 'payload', 'delay', ...PUBLISH];
const REQUEST = [...PUBLISH, 'timeout'];
const SUBSCRIBE = ['qos', 'noLocal', 'retained', 'userProperties'];

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

  /**
   * @param {import('../wasm/index.js').Network} network
   * @param {string | URL} url
   * @param {Api.MqttOptions} [how]
   */
  static async open(network, url, how) {
    const at = address('address', url);
    const { will, ...options } = checked('mqtt()', how, OPTIONS) ?? {};
    checked('reconnect', options.reconnect, RECONNECT);
    checked('authentication', options.authentication, AUTHENTICATION);
    if (checked('will', will, WILL)) {
      const payload = await toBytes(will?.payload);
      return new Mqtt(await network.mqtt(at, { ...options, will: { ...will, payload } }));
    }
    return new Mqtt(await network.mqtt(at, options));
  }

  /** @param {import('../wasm/index.js').Mqtt} client */
  constructor(client) {
    this.#client = client;
  }

  /** @returns {Promise<Api.MqttEvent | null>} */
  next() { return nextOf(this.#client, this.#next()); }

  async #next() {
    this.#asked = true;
    if (this.#unasked.length > 0) {
      return this.#unasked.shift() ?? null;
    }
    const waiting = this.#waiting;
    this.#waiting = null;
    return waiting ?? this.#event();
  }

  [Symbol.asyncIterator]() { return each(this); }

  /** @param {string} topic @param {Api.Body} [payload] @param {Api.MqttPublishOptions} [options] */
  publish(topic, payload, options) {
    this.#takeUnasked();
    const publication = this.#enqueue(topic, payload, options);
    const queued = publication.then(() => undefined);
    // Whoever waits for the outcome is told there.
    queued.catch(() => undefined);
    const outcome = publication.then((taken) => this.#settled(toReply(taken.outcome())));
    return Object.assign(outcome, { queued });
  }

  async published() { return this.#settled(this.#client.published()); }

  /** @param {string | readonly string[]} filter @param {Api.MqttSubscribeOptions} [options] */
  subscribe(filter, options) {
    const filters = Array.isArray(filter) ? texts('filter', filter) : [text('filter', /** @type {string} */ (filter))];
    if (filters.length === 0) {
      throw invalid('there is no filter to subscribe to');
    }
    checked('subscribe()', options, SUBSCRIBE);
    this.#takeUnasked();
    const message = (/** @type {object} */ fields) => new Message(fields, this.#client);
    const subscribed = this.#settled(this.#client.subscribe(filters, options));
    return new Subscription(filters, subscribed, message, this.#client);
  }

  /** @param {string} topic @param {Api.Body} [payload] @param {Api.MqttRequestOptions} [options] */
  async request(topic, payload, options) {
    text('topic', topic);
    checked('request()', options, REQUEST);
    this.#takeUnasked();
    const bytes = await toBytes(payload);
    const response = await this.#settled(this.#client.request(topic, bytes, options ?? {}));
    return /** @type {Api.MqttMessage} */ (/** @type {unknown} */ (new Message(response, this.#client)));
  }

  async reauthenticate() { return this.#settled(this.#client.reauthenticate()); }

  /** @param {{ will?: boolean }} [options] */
  async close(options) {
    const { will = false } = checked('close()', options, ['will']) ?? {};
    if (typeof will !== 'boolean') {
      throw invalid(`the option will is ${kindOf(will)}, not true or false`);
    }
    return this.#client.close(will);
  }

  [asyncDispose]() { return this.close(); }

  /**
   * @param {string} topic
   * @param {Api.Body | undefined} payload
   * @param {Api.MqttPublishOptions | undefined} options
   */
  async #enqueue(topic, payload, options) {
    text('topic', topic);
    checked('publish()', options, PUBLISH);
    let bytes = toBytes(payload);
    if (bytes instanceof Promise) {
      bytes = await bytes;
    }
    return this.#settled(this.#client.enqueue(topic, bytes, options));
  }

  /** @template T @param {Promise<T>} asked */
  #settled(asked) { return settled(this.#client, asked); }

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
  #client;
  #subscribed;
  #message;

  /**
   * @param {readonly string[]} filters
   * @param {Promise<import('../wasm/index.js').MqttSubscription>} subscribed
   * @param {(fields: object) => any} message
   * @param {import('../wasm/index.js').Mqtt} client
   */
  constructor(filters, subscribed, message, client) {
    this.filters = filters;
    this.#client = client;
    this.#subscribed = subscribed;
    this.#message = message;
    this.granted = subscribed.then(() => undefined);
    // Whoever iterates is told there.
    this.granted.catch(() => undefined);
  }

  /** @returns {Promise<Api.MqttMessage | null>} */
  async next() {
    const fields = await nextOf(this.#client, (await this.#subscribed).next());
    return fields === null ? null : this.#message(fields);
  }

  [Symbol.asyncIterator]() {
    // One that was refused has nothing to end.
    return each(this, () => void this.unsubscribe().catch(() => undefined));
  }

  async unsubscribe() {
    return settled(this.#client, toReply((await this.#subscribed).unsubscribe()));
  }

  async [asyncDispose]() { await this.unsubscribe(); }
}

/** @param {Promise<object>} fields */
function toReply(fields) {
  return /** @type {Promise<Api.MqttReply>} */ (fields);
}

class Message extends Payload {
  #client;
  /** @type {number | null} */
  serial = null;

  /** @param {object} fields @param {import('../wasm/index.js').Mqtt} client */
  constructor(fields, client) {
    super();
    Object.assign(this, fields);
    this.#client = client;
  }

  async acknowledge(code = 0) {
    if (!Number.isInteger(code) || code < 0 || code > 255) {
      throw invalid('the code is no whole number from 0 to 255');
    }
    if (this.serial !== null) {
      await settled(this.#client, this.#client.acknowledge(this.serial, code));
    }
  }
}
