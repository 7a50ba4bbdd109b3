// @ts-check
/** An MQTT broker: its topics, what is published to them, and how the session fares. */

import { sentence } from '../shared/js/connection.js';
import { read } from './reading.js';
import { keepSecret, secret } from './saved.js';
import { FIRST_WAIT, LONGEST_WAIT, Source, wholeOf } from './source.js';

/** @import { Mqtt, MqttEvent, MqttMessage, MqttSubscription } from '../jackfield/iot.js' */

/** For how long a broker keeps what comes while the page is away, in seconds. */
const SESSION_EXPIRY = 24 * 3600;
/** How long a switch may take to say that it has switched, in milliseconds. */
const PATIENCE = 5000;

/** @typedef {{ filter: string, subscription: MqttSubscription, answer: string, refused: boolean }} Filter */

export class Broker extends Source {
  /** @type {Mqtt | null} */
  client = null;
  /** @type {Map<string, Filter>} */
  filters = new Map();
  ports = '8883 is usual with TLS, 1883 without';
  received = 0;
  /** The topics that tell whether something is there. @type {Set<string>} */
  #presences = new Set();
  /** A connection stood before, so that the next one continues it. */
  #before = false;

  get password() {
    return secret(this.saved.id);
  }

  set password(value) {
    keepSecret(this.saved.id, value, this.saved.remember === true);
  }

  /** Connects, and takes events until the end. */
  async run() {
    const { saved } = this;
    this.become('connecting');
    let client = null;
    try {
      const network = await this.around.network();
      this.networkKind = network.kind;
      client = await network.mqtt(saved.url, {
        version: saved.version,
        clientId: `jackfield-${saved.id}`,
        username: saved.username || undefined,
        password: this.password || undefined,
        will: saved.will && { ...saved.will, qos: 1, retain: true },
        store: `iot-${saved.id}`,
        sessionExpiry: SESSION_EXPIRY,
        reconnect: { first: FIRST_WAIT, longest: LONGEST_WAIT },
      });
      this.client = client;
      (saved.filters ?? ['#']).forEach((filter) => this.#listen(filter));
      for await (const event of client) {
        this.#take(event);
      }
    } catch (error) {
      if (this.state !== 'closed') {
        this.become('failed', this.explain(error));
      }
    }
    if (this.client === client) {
      this.client = null;
    }
  }

  /** Connects without waiting any longer. */
  retry() {
    if (this.state === 'waiting') {
      this.client?.reconnectNow();
    } else {
      this.renew();
    }
  }

  /** Begins anew, over another network perhaps. */
  renew() {
    this.#leave();
    this.run();
  }

  close() {
    this.become('closed');
    void this.client?.close();
  }

  /** @param {string} topic @param {string} payload @param {{ qos?: 0 | 1 | 2, retain?: boolean }} [how] */
  async publish(topic, payload, how) {
    if (!this.client) {
      throw new Error('there is no connection');
    }
    return this.client.publish(topic, payload, how);
  }

  /** Switches, by publishing where the switch listens. @param {string} key @param {boolean} on */
  async turn(key, on) {
    const item = this.items.get(key);
    const command = item?.reading?.command;
    if (!item || !command) {
      return;
    }
    item.wanted = on;
    item.error = '';
    this.around.changed();
    try {
      await this.publish(this.pin(key)?.command || `${wholeOf(key)}/set`, command(on), { qos: 1 });
      setTimeout(() => {
        if (item.wanted === on) {
          item.wanted = null;
          item.error = 'The broker has it, but nothing confirmed it.';
          this.around.changed();
        }
      }, PATIENCE);
    } catch (error) {
      item.wanted = null;
      item.error = sentence(error instanceof Error ? error.message : String(error));
      this.around.changed();
    }
  }

  /** @param {string} filter */
  add(filter) {
    this.saved.filters = [...new Set([...(this.saved.filters ?? []), filter])];
    this.around.keep();
    this.#listen(filter);
    this.around.changed();
  }

  /** @param {string} filter */
  async remove(filter) {
    const { saved } = this;
    saved.filters = saved.filters?.filter((known) => known !== filter);
    this.around.keep();
    const known = this.filters.get(filter);
    this.filters.delete(filter);
    this.around.changed();
    await known?.subscription.unsubscribe().catch(() => undefined);
  }

  /** Whether the last will of what publishes a topic says that it is gone. @param {string} key */
  absent(key) {
    const folder = folderOf(wholeOf(key));
    for (const topic of this.#presences) {
      const reading = this.items.get(topic)?.reading;
      if (reading?.kind === 'presence' && topic !== key && folder.startsWith(folderOf(topic))
        && topic.includes('/')) {
        return !reading.on;
      }
    }
    return false;
  }

  /** @param {string} filter */
  async #listen(filter) {
    if (!this.client || this.filters.has(filter)) {
      return;
    }
    const subscription = this.client.subscribe(filter, { qos: this.saved.qos ?? 1 });
    /** @type {Filter} */
    const known = { filter, subscription, answer: '', refused: false };
    this.filters.set(filter, known);
    try {
      subscription.granted.then(() => {
        known.answer = 'subscribed';
        this.around.changed();
      }, () => undefined);
      for await (const message of subscription) {
        this.#message(message);
      }
    } catch (error) {
      // Whoever has left doesn't want to know.
      if (this.filters.get(filter) !== known) {
        return;
      }
      known.answer = sentence(error instanceof Error ? error.message : String(error));
      known.refused = true;
      this.around.changed();
    }
  }

  /** @param {MqttEvent} event */
  #take(event) {
    switch (event.type) {
      case 'connecting':
        if (this.state !== 'waiting') {
          this.become('connecting');
        }
        this.trying = true;
        this.retryAt = null;
        break;
      case 'connected':
        this.security = event.security;
        this.note = '';
        if (this.#before) {
          this.note = event.sessionPresent
            ? 'Back, with the same session: nothing is lost.'
            : 'Back, with a new session: what came meanwhile is not known.';
        }
        this.#before = true;
        this.become('connected');
        break;
      case 'disconnected':
        this.security = null;
        this.note = '';
        this.retryAt = event.retryIn === null ? null : Date.now() + event.retryIn;
        this.become(event.retryIn === null ? 'failed' : 'waiting', this.explain(event.error));
        break;
      case 'message':
        this.#message(event.message);
        break;
      default:
    }
    this.around.changed();
  }

  /** @param {MqttMessage} message */
  #message(message) {
    this.received += 1;
    const item = this.item(message.topic);
    if (!item) {
      return;
    }
    const fresh = item.count === 0;
    item.retained = message.retained;
    item.qos = message.qos;
    this.take(item, read(message.payload), message.payload, message.time);
    const kind = item.reading?.kind;
    if (kind === 'presence') {
      this.#presences.add(message.topic);
      this.#present(message.topic, item.time);
    }
    if (fresh && kind !== 'empty' && kind !== 'binary' && !/\/(set|get|cmd)$/u.test(message.topic)) {
      this.suggest(message.topic);
    }
    this.around.changed();
  }

  /**
   * Something has come or gone: nothing is known of what is its in between.
   * @param {string} topic
   * @param {number} time
   */
  #present(topic, time) {
    const folder = folderOf(topic);
    for (const [key, { series }] of this.items) {
      // Only what is its, since many things may come at once.
      if (!key.startsWith(folder)) {
        continue;
      }
      if (this.absent(key)) {
        series.lost(time);
      } else if (this.state === 'connected') {
        series.back(time);
      }
    }
  }

  #leave() {
    const { client } = this;
    this.client = null;
    this.filters.clear();
    void client?.close();
  }
}

/** A topic without its last level: `house/` of `house/status`. @param {string} topic */
function folderOf(topic) {
  return topic.slice(0, topic.lastIndexOf('/') + 1);
}
