// @ts-check
/** The MQTT client of a page. What it is and does: the .d.ts. */

import { address, kindOf, options as checked, text, texts } from './check.js';
import { asyncDispose, settled } from './ending.js';
import { invalid } from './error.js';
import { Life, reconnect } from './life.js';
import { unpacked } from './mqtt-pack.js';
import { WAIT, mayWait, patiently } from './patience.js';
import { Payload, toBytes } from './payload.js';
import { Reading } from './reading.js';

/** @import * as Api from '../index.d.ts' */
/** @import { Pack } from './mqtt-pack.js' */

/** What `MqttOptions` has, and what the objects within it have. */
const OPTIONS = [
  'version', 'clientId', 'username', 'password', 'renew', 'will', 'cleanStart', 'sessionExpiry', 'keepAlive',
  'reconnect', 'store', 'manualAcknowledgement', 'userProperties', 'receiveMaximum', 'maximumPacketSize',
  'topicAliasMaximum', 'authentication',
];
const AUTHENTICATION = ['method', 'step'];
const MESSAGE = ['qos', 'retain', 'expiry', 'contentType', 'userProperties', 'responseTopic', 'correlationData'];
const WILL = ['topic', 'payload', 'delay', ...MESSAGE];
/** What `MqttPublishOptions`, `MqttRequestOptions` and `MqttSubscribeOptions` have. */
const PUBLISH = [...MESSAGE, ...WAIT];
const SUBSCRIBE = ['qos', 'noLocal', 'retained', 'userProperties', ...WAIT];

/** How long a request waits for its response, in milliseconds, unless it is told otherwise. */
const PATIENCE = 30_000;

/** @implements {Api.Mqtt} */
export class Mqtt {
  #client;
  #life;
  /** @type {Reading<any, Api.MqttEvent>} */
  #events;

  /**
   * @param {import('../wasm/index.js').Network} network
   * @param {string | URL} url
   * @param {Api.MqttOptions} [how]
   */
  static async open(network, url, how) {
    const at = address('address', url);
    const { will, ...options } = checked('mqtt()', how, OPTIONS) ?? {};
    reconnect(options.reconnect);
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
    const life = new Life(this, client);
    this.#life = life;
    const event = (/** @type {any} */ event) =>
      (event.type === 'message' ? { ...event, message: toMessages(event.message, client, life)[0] } : event);
    this.#events = new Reading('events', life, () => client.next(), event);
  }

  get state() { return this.#life.state; }

  get connected() { return this.#life.connected; }

  get closed() { return this.#life.closed; }

  reconnectNow() { this.#life.reconnectNow(); }

  /** @param {Api.WaitOptions} [options] */
  async next(options) { return this.#events.next(checked('next()', options, WAIT)); }

  // The loop keeps the client.
  [Symbol.asyncIterator]() { return this.#events.each(() => void this.#life); }

  /** @param {string} topic @param {Api.Body} [payload] @param {Api.MqttPublishOptions} [options] */
  publish(topic, payload, options) {
    this.#events.keep();
    const publication = this.#enqueue(topic, payload, options);
    const queued = this.#unless(options, publication.then(() => undefined));
    // Whoever waits for the outcome is told there.
    queued.catch(() => undefined);
    const outcome = publication.then((taken) => this.#settled(toReply(taken.outcome())));
    return Object.assign(this.#unless(options, outcome), { queued });
  }

  /** @param {Api.WaitOptions} [options] */
  async published(options) {
    return patiently(checked('published()', options, WAIT), () => this.#settled(this.#client.published()));
  }

  /** @param {string | readonly string[]} filter @param {Api.MqttSubscribeOptions} [options] */
  subscribe(filter, options) {
    const filters = Array.isArray(filter) ? texts('filter', filter) : [text('filter', /** @type {string} */ (filter))];
    if (filters.length === 0) {
      throw invalid('there is no filter to subscribe to');
    }
    checked('subscribe()', options, SUBSCRIBE);
    mayWait(options);
    this.#events.keep();
    const messages = (/** @type {Pack} */ pack) => toMessages(pack, this.#client, this.#life);
    const subscribed = this.#settled(this.#client.subscribe(filters, options));
    return new Subscription(filters, subscribed, messages, this, this.#life, options);
  }

  /** @param {string} topic @param {Api.Body} [payload] @param {Api.MqttRequestOptions} [options] */
  async request(topic, payload, options) {
    text('topic', topic);
    const { signal, timeout = PATIENCE } = checked('request()', options, PUBLISH) ?? {};
    mayWait(options);
    this.#events.keep();
    const ask = async () => {
      const bytes = await toBytes(payload);
      signal?.throwIfAborted();
      return this.#settled(this.#client.request(topic, bytes, options ?? {}));
    };
    // The client keeps the time from when it has asked; before, it may have to wait for the broker.
    const response = await this.#unless({ signal, timeout }, ask());
    const [message] = toMessages(/** @type {any} */ (response), this.#client, this.#life);
    return /** @type {Api.MqttMessage} */ (/** @type {unknown} */ (message));
  }

  /** @param {Api.WaitOptions} [options] */
  async reauthenticate(options) {
    return patiently(checked('reauthenticate()', options, WAIT), () => this.#settled(this.#client.reauthenticate()));
  }

  /** @param {Api.MqttCloseOptions} [options] */
  async close(options) {
    const { will = false } = checked('close()', options, ['will', ...WAIT]) ?? {};
    if (typeof will !== 'boolean') {
      throw invalid(`the option will is ${kindOf(will)}, not true or false`);
    }
    return patiently(options, () => this.#client.close(will));
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
    mayWait(options);
    let bytes = toBytes(payload);
    if (bytes instanceof Promise) {
      bytes = await this.#unless(options, bytes);
    }
    return this.#settled(this.#client.enqueue(topic, bytes, options));
  }

  /** @template T @param {Promise<T>} asked */
  #settled(asked) { return this.#life.asked(this, asked); }

  /**
   * What was begun, where the page doesn't give it up before.
   *
   * @template T
   * @param {Api.WaitOptions | undefined} options
   * @param {Promise<T>} begun
   * @returns {Promise<T>}
   */
  #unless(options, begun) {
    const { signal, timeout } = options ?? {};
    if (signal === undefined && timeout === undefined) {
      return begun;
    }
    begun.catch(() => undefined);
    return patiently({ signal, timeout }, () => begun);
  }
}

/** @implements {Api.MqttSubscription} */
class Subscription {
  #broker;
  #life;
  #subscribed;
  /** @type {Reading<Message, any>} */
  #messages;
  /** No longer heeds the signal. @type {() => void} */
  #unheed = () => undefined;

  /**
   * @param {readonly string[]} filters
   * @param {Promise<import('../wasm/index.js').MqttSubscription>} subscribed
   * @param {(pack: Pack) => Message[]} messages
   * @param {Mqtt} broker
   * @param {Life} life
   * @param {Api.MqttSubscribeOptions} [options]
   */
  constructor(filters, subscribed, messages, broker, life, options) {
    this.filters = filters;
    // Whoever has a subscription has the client.
    this.#broker = broker;
    this.#life = life;
    this.#subscribed = subscribed;
    const granted = patiently(options, () => subscribed);
    this.granted = granted.then(() => undefined, (error) => {
      // It may be granted yet, and nobody would read it.
      this.#end();
      throw error;
    });
    // Whoever iterates is told there.
    this.granted.catch(() => undefined);
    /** @type {import('../wasm/index.js').MqttSubscription | undefined} */
    let source;
    const pull = async () => {
      source ??= await granted;
      const pack = await source.next();
      return pack === null ? null : messages(pack);
    };
    this.#messages = new Reading('messages', life, pull, (message) => message);
    const { signal } = options ?? {};
    if (signal) {
      const abort = () => {
        this.#messages.fail(signal.reason);
        this.#end();
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#unheed = () => signal.removeEventListener('abort', abort);
    }
  }

  /** @param {Api.WaitOptions} [options] @returns {Promise<Api.MqttMessage | null>} */
  async next(options) { return this.#messages.next(checked('next()', options, WAIT)); }

  [Symbol.asyncIterator]() { return this.#messages.each(() => this.#end()); }

  /** @param {Api.WaitOptions} [options] */
  async unsubscribe(options) {
    return patiently(checked('unsubscribe()', options, WAIT), async () => {
      this.#unheed();
      this.#messages.forget();
      return this.#life.asked(this.#broker, toReply((await this.#subscribed).unsubscribe()));
    });
  }

  async [asyncDispose]() { await this.unsubscribe(); }

  /** One that was refused has nothing to end, and one whose client is over neither. */
  #end() {
    this.unsubscribe().catch(() => undefined);
  }
}

/** @param {Promise<object>} fields */
function toReply(fields) {
  return /** @type {Promise<Api.MqttReply>} */ (fields);
}

/**
 * What a pack has, with its methods.
 *
 * @param {Pack} pack
 * @param {import('../wasm/index.js').Mqtt} client
 * @param {Life} life
 */
function toMessages(pack, client, life) {
  return unpacked(pack).map((fields) => new Message(fields, client, life));
}

class Message extends Payload {
  #client;
  #life;
  /** @type {number | null} */
  serial = null;

  /** @param {object} fields @param {import('../wasm/index.js').Mqtt} client @param {Life} life */
  constructor(fields, client, life) {
    super();
    Object.assign(this, fields);
    this.#client = client;
    this.#life = life;
  }

  /** @param {number} [code] @param {Api.WaitOptions} [options] */
  async acknowledge(code = 0, options = undefined) {
    checked('acknowledge()', options, WAIT);
    if (!Number.isInteger(code) || code < 0 || code > 255) {
      throw invalid('the code is no whole number from 0 to 255');
    }
    const { serial } = this;
    if (serial !== null) {
      await patiently(options, () => settled(this.#life, this.#client.acknowledge(serial, code)));
    }
  }
}
