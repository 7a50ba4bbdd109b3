// @ts-check
/** A CoAP device: what it offers, what is observed of it, what is sent to it. */

import { sentence } from '../shared/js/connection.js';
import { bytes, read } from './reading.js';
import { FIRST_WAIT, LONGEST_WAIT, Source, wholeOf } from './source.js';

/** @import { Coap, CoapLink, CoapResponse } from '../jackfield/iot.js' */

/**
 * How long a device may take to say what it offers, in milliseconds: CoAP asks four times until then,
 * and would give up after a minute and a half.
 */
const PATIENCE = 15_000;

/**
 * @typedef {object} Upload
 * @property {string} file
 * @property {number} total
 * @property {number} done
 * @property {number} since
 * @property {'running' | 'done' | 'cancelled' | 'failed'} state
 * @property {string} text What the device said at the end.
 * @property {AbortController} abort
 */

export class Device extends Source {
  /** @type {Coap | null} */
  client = null;
  /** @type {CoapLink[]} */
  links = [];
  /** @type {Map<string, Upload>} */
  uploads = new Map();
  ports = '5683 is usual without TLS, 5684 with it';
  #wait = FIRST_WAIT;
  #timer = 0;
  /** What is observed through this client, so that nothing is observed twice. @type {Set<string>} */
  #observed = new Set();
  #before = false;

  async run() {
    // While it is waited for, the reason stays.
    if (this.state !== 'waiting') {
      this.become('connecting');
    }
    this.trying = true;
    this.retryAt = null;
    this.around.changed();
    if (!this.client || this.client.state === 'closed') {
      try {
        const network = await this.around.network();
        this.networkKind = network.kind;
        this.client = await network.coap(this.saved.url, { reconnect: { first: FIRST_WAIT, longest: LONGEST_WAIT } });
      } catch (error) {
        this.become('failed', this.explain(error));
        return;
      }
    }
    this.client.reconnectNow();
    await this.discover();
  }

  /** Asks what the device offers; what is observable and has a tile is observed. */
  async discover() {
    const { client } = this;
    if (!client) {
      return;
    }
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      const links = await client.discover(undefined, { signal }).catch((error) => {
        throw signal.aborted ? Object.assign(new Error('it was asked several times'), { kind: 'timed-out', where: 'server' }) : error;
      });
      if (client !== this.client) {
        return;
      }
      this.links = links.filter(({ href }) => href.startsWith('/') && href !== '/.well-known/core');
      this.#wait = FIRST_WAIT;
      this.security = client.security ?? {};
      this.note = this.#before ? 'Back: everything is asked for again.' : '';
      this.#before = true;
      for (const { href } of this.links) {
        this.item(href);
        this.suggest(href);
      }
      this.become('connected');
      this.saved.pins.forEach(({ key }) => this.watch(key));
    } catch (error) {
      this.#lost(client, error);
    }
  }

  /** Asks it again without waiting any longer. */
  retry() {
    window.clearTimeout(this.#timer);
    this.run();
  }

  /** Begins anew, over another network perhaps. */
  renew() {
    this.#leave();
    this.run();
  }

  close() {
    this.#leave();
    this.become('closed');
  }

  /** @param {string} key @param {boolean} wanted */
  setPinned(key, wanted) {
    super.setPinned(key, wanted);
    if (wanted) {
      this.watch(key);
    }
  }

  /** @param {string} key */
  link(key) {
    return this.links.find(({ href }) => href === key);
  }

  /** Whether it takes files. @param {string} key */
  takesFiles(key) {
    const link = this.link(key);
    return link !== undefined && [...link.types, ...link.interfaces].some((type) => /firmware|\bfw\b/iu.test(type));
  }

  /** @param {string} key */
  isActuator(key) {
    return this.link(key)?.interfaces.includes('core.a') === true;
  }

  /** Observes it, or reads it once where it can't be observed; of a field, what it is of. @param {string} pinned */
  async watch(pinned) {
    const key = wholeOf(pinned);
    const { client } = this;
    const link = this.link(key);
    if (!client || !link || this.takesFiles(key) || this.#observed.has(key)) {
      return;
    }
    if (!link.observable) {
      await this.refresh(key);
      return;
    }
    this.#observed.add(key);
    const stale = (/** @type {unknown} */ error) => {
      if (client === this.client && this.state === 'connected') {
        this.security = client.security;
        this.become('waiting', this.explain(error));
      }
    };
    try {
      for await (const response of client.observe(key, { stale })) {
        if (client !== this.client || !this.saved.pins.some((pin) => wholeOf(pin.key) === key)) {
          break;
        }
        if (this.state === 'waiting') {
          window.clearTimeout(this.#timer);
          this.security = client.security;
          this.note = 'Back: what is observed is told anew.';
          this.become('connected');
        }
        this.#take(key, response);
      }
      this.#observed.delete(key);
    } catch (error) {
      this.#observed.delete(key);
      this.#lost(client, error);
    }
  }

  /** Asks once. @param {string} key */
  async refresh(key) {
    const { client } = this;
    try {
      const response = await client?.get(key);
      if (response) {
        this.#take(key, response);
      }
    } catch (error) {
      if (client) {
        this.#lost(client, error);
      }
    }
  }

  /** Switches, by PUT. @param {string} key @param {boolean} on */
  async turn(key, on) {
    const item = this.items.get(key);
    const command = item?.reading?.command;
    if (!item || !command || !this.client) {
      return;
    }
    item.wanted = on;
    item.error = '';
    this.around.changed();
    try {
      const whole = wholeOf(key);
      const format = key === whole ? 'text/plain;charset=utf-8' : 'application/json';
      const response = await this.client.put(whole, command(on), { format });
      if (!response.ok) {
        throw new Error(`${response.code} ${response.reason}`);
      }
      if (!this.#observed.has(whole)) {
        await this.refresh(whole);
      }
    } catch (error) {
      item.error = sentence(error instanceof Error ? error.message : String(error));
    }
    item.wanted = null;
    this.around.changed();
  }

  /** Sends a file, block by block. @param {string} key @param {File} file */
  async upload(key, file) {
    if (!this.client) {
      return;
    }
    /** @type {Upload} */
    const upload = {
      file: file.name,
      total: file.size,
      done: 0,
      since: performance.now(),
      state: 'running',
      text: '',
      abort: new AbortController(),
    };
    this.uploads.set(key, upload);
    this.around.changed();
    try {
      const response = await this.client.put(key, await file.arrayBuffer(), {
        format: 'application/octet-stream',
        signal: upload.abort.signal,
        progress: (done) => {
          upload.done = done;
          this.around.changed();
        },
      });
      if (!response.ok) {
        throw new Error(`${response.code} ${response.reason}`);
      }
      upload.done = upload.total;
      upload.state = 'done';
      upload.text = response.payload.length > 0 ? response.text() : `The device has all ${bytes(upload.total)}.`;
      this.around.announce(`${file.name} is at ${this.name}. ${upload.text}`);
    } catch (error) {
      upload.state = upload.abort.signal.aborted ? 'cancelled' : 'failed';
      upload.text = upload.state === 'cancelled'
        ? 'Cancelled: the device has only a part of it.'
        : sentence(error instanceof Error ? error.message : String(error));
      this.around.announce(upload.text);
    }
    this.around.changed();
  }

  /** @param {string} key @param {CoapResponse} response */
  #take(key, response) {
    const item = this.item(key);
    if (!item) {
      return;
    }
    if (response.ok) {
      this.take(item, read(response.payload, { actuator: this.isActuator(key) }), response.payload, response.time);
    } else {
      item.error = `${response.code} ${response.reason}`;
    }
    this.around.changed();
  }

  /** @param {Coap} client @param {unknown} error */
  #lost(client, error) {
    // What else was under way may fail as well.
    if (client !== this.client || this.state === 'closed' || this.state === 'failed' || this.retryAt !== null) {
      return;
    }
    this.security = null;
    if (client.state === 'closed') {
      this.#leave();
    }
    this.note = '';
    this.retryAt = Date.now() + this.#wait;
    this.#timer = window.setTimeout(() => this.run(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
    this.become('waiting', this.explain(error));
  }

  #leave() {
    window.clearTimeout(this.#timer);
    const { client } = this;
    this.client = null;
    this.#observed.clear();
    void client?.close();
  }
}
