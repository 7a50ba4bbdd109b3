// @ts-check
/** What brokers and devices have in common: a connection that comes and goes, and resources to show. */

import { explain } from '../shared/js/connection.js';
import { fields } from './reading.js';
import { CHARTED, Series } from './series.js';

/** @import { Network, Security } from '../jackfield/iot.js' */
/** @import { Pin, SavedSource } from './saved.js' */
/** @import { Reading } from './reading.js' */

/** How long to wait before the next attempt to connect, in milliseconds: at first, and at most. */
export const FIRST_WAIT = 1000;
export const LONGEST_WAIT = 30_000;
/** How many tiles appear by themselves. */
const OWN_TILES = 8;
/** How many topics or resources are remembered; of more, the page says that there are more. */
export const MAX_ITEMS = 10_000;

/**
 * @typedef {object} Surroundings
 * @property {() => Promise<Network>} network
 * @property {string} relay
 * @property {boolean} ownRoots
 * @property {() => void} changed Something is to be drawn again.
 * @property {() => void} keep What is saved has changed.
 * @property {(text: string) => void} announce
 */

/** What stands between a topic or a path and a field of its payload; neither can have it in its name. */
const FIELD = '#';

/** A topic, a resource, or a field of the payload of one. */
export class Item {
  /** @type {Reading | null} */
  reading = null;
  /** When it was measured, or came. */
  time = 0;
  count = 0;
  /** Whether the value says itself when it was measured. */
  measured = false;
  /** What came last, as it came. */
  payload = new Uint8Array();
  retained = false;
  qos = 0;
  /** The value asked for, while the other side has not confirmed it. @type {boolean | null} */
  wanted = null;
  error = '';
  series = new Series();

  /** @param {string} key */
  constructor(key) {
    this.key = key;
  }

  /** @param {Reading} reading @param {number} time When it came. */
  take(reading, time) {
    this.reading = reading;
    this.time = reading.time ?? time;
    this.measured = reading.time !== undefined;
    this.count += 1;
    this.error = '';
    if (reading.kind === 'number' && reading.number !== undefined) {
      this.series.add(this.time, reading.number);
    }
    if (this.wanted === reading.on) {
      this.wanted = null;
    }
  }
}

/** @typedef {'connecting' | 'connected' | 'waiting' | 'failed' | 'closed'} State */

export class Source {
  /** @type {State} */
  state = 'connecting';
  /** What went wrong last, as a sentence. */
  problem = '';
  /** When the next attempt is made, in milliseconds since 1970. @type {number | null} */
  retryAt = null;
  /** Whether an attempt is being made, which has a deadline of its own. */
  trying = false;
  /** @type {Security | null} */
  security = null;
  /** @type {Network['kind']} */
  networkKind = null;
  /** @type {Map<string, Item>} */
  items = new Map();
  /** What the last connection means for what came meanwhile. */
  note = '';
  /** What has a chart, in the order of its coming. @type {string[]} */
  #charts = [];

  /** @param {SavedSource} saved @param {Surroundings} around */
  constructor(saved, around) {
    this.saved = saved;
    this.around = around;
    const { host } = new URL(saved.url.replace(/^[a-z+]+:/u, 'http:'));
    this.host = host;
  }

  get name() {
    return this.saved.name || this.host;
  }

  /** @returns {'mqtt' | 'coap'} */
  get kind() {
    return this.saved.url.startsWith('coap') ? 'coap' : 'mqtt';
  }

  /** @param {string} key */
  item(key) {
    let item = this.items.get(key);
    if (!item && this.items.size < MAX_ITEMS) {
      item = new Item(key);
      this.items.set(key, item);
    }
    if (item && this.pin(key)) {
      item.series.room = CHARTED;
    }
    return item;
  }

  /**
   * What came for a topic or a resource, for it and for those of its fields that have a tile.
   * @param {Item} item
   * @param {Reading} reading
   * @param {Uint8Array<ArrayBuffer>} payload
   * @param {number} time When it came.
   */
  take(item, reading, payload, time) {
    item.payload = payload;
    item.take(reading, time);
    const pinned = this.saved.pins.filter(({ key }) => key.startsWith(item.key + FIELD));
    const found = pinned.length > 0 ? fields(payload) : new Map();
    for (const { key } of pinned) {
      const field = this.item(key);
      const said = found.get(key.slice(item.key.length + 1));
      if (field && said) {
        field.retained = item.retained;
        field.qos = item.qos;
        field.take({ ...said, time: reading.time }, time);
      }
    }
  }

  /** Which of the charts it is, from 0: each has a colour, and keeps it. @param {string} key */
  chart(key) {
    if (!this.#charts.includes(key)) {
      this.#charts.push(key);
    }
    return this.#charts.indexOf(key);
  }

  /** @param {string} key @returns {Pin | undefined} */
  pin(key) {
    return this.saved.pins.find((pin) => pin.key === key);
  }

  /** Puts a tile on the dashboard, or takes it off. @param {string} key @param {boolean} wanted */
  setPinned(key, wanted) {
    const { saved } = this;
    saved.pins = saved.pins.filter((pin) => pin.key !== key);
    saved.unpinned = saved.unpinned.filter((unpinned) => unpinned !== key);
    const whole = this.items.get(wholeOf(key));
    if (wanted) {
      saved.pins.push({ key });
      if (key !== whole?.key && whole?.reading) {
        this.take(whole, whole.reading, whole.payload, whole.time);
      }
    } else if (key === wholeOf(key)) {
      saved.unpinned.push(key);
    } else {
      this.items.delete(key);
    }
    this.around.keep();
    this.around.changed();
  }

  /** Puts something new on the dashboard by itself, while there is little there. @param {string} key */
  suggest(key) {
    const { pins, unpinned } = this.saved;
    if (pins.length < OWN_TILES && !this.pin(key) && !unpinned.includes(key)) {
      pins.push({ key });
      this.around.keep();
    }
  }

  /** @param {State} state @param {string} [problem] */
  become(state, problem = '') {
    const was = this.state;
    this.state = state;
    this.problem = problem;
    this.trying = false;
    const now = Date.now();
    if (state === 'connected') {
      this.retryAt = null;
      this.items.forEach((item, key) => {
        if (!this.absent(key)) {
          item.series.back(now);
        }
      });
      this.around.announce(`${this.name} is connected.`);
    } else if (was === 'connected') {
      this.items.forEach((item) => item.series.lost(now));
      this.around.announce(`${this.name} is not connected. ${problem}`);
    } else if (state === 'failed') {
      this.around.announce(`${this.name}: ${problem}`);
    }
    this.around.changed();
  }

  /** Whether what a value comes from is known to be gone. @param {string} _key */
  absent(_key) {
    return false;
  }

  /** @param {unknown} error */
  explain(error) {
    return explain(error, this.ports);
  }

  ports = '';
}

/** The topic or path that a field is of, or that this is. @param {string} key */
export function wholeOf(key) {
  const at = key.indexOf(FIELD);
  return at < 0 ? key : key.slice(0, at);
}

/** @param {string} whole @param {string} path */
export function fieldOf(whole, path) {
  return whole + FIELD + path;
}
