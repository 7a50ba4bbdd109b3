// @ts-check
/** The topics of a broker as a tree, or what a device offers, with the fields of what came. */

import { button, element, icon, span } from '../shared/js/dom.js';
import { Broker } from './broker.js';
import { bytes, fields } from './reading.js';
import { MAX_ITEMS, fieldOf, wholeOf } from './source.js';
import { setText, titleOf, whenOf } from './tile.js';
import { Topics } from './topics.js';
import { place } from './view.js';

/** @import { AnySource } from './tile.js' */
/** @import { Device } from './device.js' */
/** @import { Reading } from './reading.js' */

/** So many are seen at a glance; of more, one can find some. */
const FEW = 12;
/** How many rows are drawn; of more, one is told how many. */
const MAX_ROWS = 500;

/** @typedef {{ id: string, depth: number, make: () => Part, show: (part: Part) => void }} Wanted */
/** @typedef {Row | FieldRow | FolderRow} Part */

export class Items {
  /** By what they show. @type {Map<string, Part>} */
  #rows = new Map();
  #topics = new Topics();
  /** Those whose fields are seen. @type {Set<string>} */
  #opened = new Set();

  /** @param {AnySource} source */
  constructor(source) {
    this.source = source;
    const broker = source instanceof Broker;
    this.count = span('muted', '');
    this.none = element('p', 'muted nothing');
    this.more = element('p', 'muted nothing');
    this.more.id = 'more-items';
    this.find = element('input', '');
    this.find.type = 'search';
    this.find.id = 'find';
    this.find.placeholder = broker ? 'Find topics' : 'Find resources';
    this.find.setAttribute('aria-label', this.find.placeholder);
    this.find.addEventListener('input', () => this.update());
    this.list = element('ul', 'items');
    this.list.id = 'items';
    const again = broker ? [] : [button('quiet', () => source.discover(), icon('refresh'), 'Discover again')];
    this.root = element(
      'section',
      'panel',
      element('header', '', element('h2', '', broker ? 'Topics ' : 'Resources ', this.count), ...again),
      this.find,
      this.none,
      this.list,
      this.more,
    );
  }

  update() {
    const { source } = this;
    const all = source instanceof Broker
      ? [...source.items.keys()].filter((key) => key === wholeOf(key)) : source.links.map(({ href }) => href);
    this.find.hidden = all.length <= FEW;
    const sought = this.find.hidden ? '' : this.find.value.trim().toLowerCase();
    const { wanted, left } = this.#wanted(all, sought);
    const ids = new Set(wanted.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (!ids.has(id)) {
        row.root.remove();
        this.#rows.delete(id);
      }
    }
    place(this.list, wanted.map(({ id, depth, make, show }) => {
      let row = this.#rows.get(id);
      if (!row) {
        row = make();
        this.#rows.set(id, row);
      }
      row.root.style.setProperty('--depth', String(depth));
      show(row);
      return row;
    }));
    setText(this.count, all.length >= MAX_ITEMS ? `the first ${MAX_ITEMS}` : String(all.length));
    this.more.hidden = left === 0;
    setText(this.more, `${left} more are not shown: find one by its name, or fold some.`);
    this.none.hidden = wanted.length > 0;
    if (sought !== '') {
      setText(this.none, 'None of them has that in its name.');
      return;
    }
    setText(this.none, source instanceof Broker
      ? 'No message has come yet. Topics appear here as soon as something is published to them.'
      : 'Nothing is known of it yet: what the device lists at /.well-known/core appears here.');
  }

  /**
   * The rows that are to be seen, and how many more there would be.
   * @param {string[]} all
   * @param {string} sought
   * @returns {{ wanted: Wanted[], left: number }}
   */
  #wanted(all, sought) {
    const { source } = this;
    if (source instanceof Broker && sought === '') {
      const { entries, all: count } = this.#topics.entries(all, MAX_ROWS);
      const wanted = entries.flatMap((entry) => (entry.kind === 'item'
        ? this.#item(entry.key, entry.name, entry.depth) : [this.#folder(entry)]));
      return { wanted, left: count - entries.length };
    }
    const found = all.filter((key) => key.toLowerCase().includes(sought))
      .sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    return {
      wanted: found.slice(0, MAX_ROWS).flatMap((key) => this.#item(key, key, 0)),
      left: Math.max(0, found.length - MAX_ROWS),
    };
  }

  /** @param {Extract<import('./topics.js').Entry, { kind: 'folder' }>} entry @returns {Wanted} */
  #folder({ path, name, depth, count, open }) {
    const turn = () => {
      const row = this.#rows.get(path);
      this.#topics.turn(path, row instanceof FolderRow && !row.isOpen);
      this.update();
    };
    return {
      id: path,
      depth,
      make: () => new FolderRow(path, turn),
      show: (row) => row instanceof FolderRow && row.update(name, count, open),
    };
  }

  /** A topic or a resource, with its fields where they are seen. @param {string} key @param {string} name @param {number} depth @returns {Wanted[]} */
  #item(key, name, depth) {
    const { source } = this;
    const turn = () => {
      if (!this.#opened.delete(key)) {
        this.#opened.add(key);
      }
      this.update();
    };
    const open = this.#opened.has(key);
    /** @type {Wanted} */
    const whole = {
      id: `${key} `,
      depth,
      make: () => new Row(source, key, turn),
      show: (row) => row instanceof Row && row.update(name, open),
    };
    const payload = open ? source.items.get(key)?.payload : undefined;
    const parts = payload ? [...fields(payload)] : [];
    return [whole, ...parts.map(([path, reading]) => /** @type {Wanted} */ ({
      id: fieldOf(key, path),
      depth: depth + 1,
      make: () => new FieldRow(source, fieldOf(key, path), path),
      show: (row) => row instanceof FieldRow && row.update(reading),
    }))];
  }
}

/** A level of topics, which folds. */
class FolderRow {
  isOpen = false;

  /** @param {string} path @param {() => void} turn */
  constructor(path, turn) {
    this.name = span('key', '');
    this.count = span('muted when', '');
    this.turn = button('fold', turn, icon('fold'), this.name, this.count);
    this.root = element('li', 'folder', this.turn);
    this.root.dataset.folder = path;
  }

  /** @param {string} name @param {number} count @param {boolean} open */
  update(name, count, open) {
    this.isOpen = open;
    setText(this.name, name);
    setText(this.count, `${count} topic${count === 1 ? '' : 's'}`);
    this.turn.setAttribute('aria-expanded', String(open));
  }
}

/** What shows a topic, a resource or a field on the dashboard, or takes it off. */
class Pinned {
  /** @param {AnySource} source @param {string} key */
  constructor(source, key) {
    this.source = source;
    this.key = key;
    this.word = span('', '');
    this.root = button('pin', () => source.setPinned(key, !source.pin(key)), icon('pin'), this.word);
  }

  update() {
    const pinned = this.source.pin(this.key) !== undefined;
    this.root.setAttribute('aria-pressed', String(pinned));
    const word = pinned ? 'Shown' : 'Show';
    this.root.setAttribute('aria-label', `${word} on the dashboard: ${this.key.replace('#', ', ')}`);
    setText(this.word, word);
  }
}

/** A topic, or a resource. */
class Row {
  /** @param {AnySource} source @param {string} key @param {() => void} turn */
  constructor(source, key, turn) {
    this.source = source;
    this.key = key;
    this.name = span('key', '');
    this.value = span('row-value', '');
    this.when = span('muted when', '');
    this.title = span('row-title', '');
    this.badges = span('badges', '');
    this.fields = button('quiet fields', turn, 'Fields');
    this.fields.setAttribute('aria-label', `Fields of ${key}`);
    this.pin = new Pinned(source, key);
    this.root = element(
      'li',
      '',
      element('span', 'row-name', this.name, this.title, this.badges, this.fields),
      element('span', 'row-said', this.value, this.when),
      this.pin.root,
    );
    this.root.dataset.key = key;
    this.root.title = key;
  }

  /** @param {string} name What it is called where it stands. @param {boolean} open Whether its fields are seen. */
  update(name, open) {
    const { source, key } = this;
    const item = source.items.get(key);
    this.pin.update();
    setText(this.name, name || '(nothing)');
    const unit = item?.reading?.unit ? ` ${item.reading.unit}` : '';
    setText(this.value, item?.error || (item?.reading ? (item.reading.text || '(empty)') + unit : ''));
    this.value.classList.toggle('bad', item !== undefined && item.error !== '');
    setText(this.when, whenOf(item));
    this.fields.hidden = item?.payload[0] !== 0x7b;
    this.fields.setAttribute('aria-expanded', String(open));
    const badges = source instanceof Broker
      ? [item?.retained ? 'retained' : '', item && item.qos > 0 ? `QoS ${item.qos}` : '']
      : resourceBadges(source, key);
    const shown = badges.filter(Boolean);
    if (this.badges.dataset.shown !== shown.join()) {
      this.badges.dataset.shown = shown.join();
      this.badges.replaceChildren(...shown.map((word) => span('badge', word)));
    }
    setText(this.title, source instanceof Broker ? '' : titleOf(source, key));
  }
}

/** A field of a payload. */
class FieldRow {
  /** @param {AnySource} source @param {string} key @param {string} path */
  constructor(source, key, path) {
    this.value = span('row-value', '');
    this.pin = new Pinned(source, key);
    this.root = element('li', 'field', element('span', 'row-name', span('key', path)), element('span', 'row-said', this.value), this.pin.root);
    this.root.dataset.key = key;
  }

  /** @param {Reading} reading */
  update(reading) {
    setText(this.value, reading.text || '(empty)');
    this.pin.update();
  }
}

/** @param {Device} device @param {string} key */
function resourceBadges(device, key) {
  const link = device.link(key);
  return link
    ? [...link.types, ...link.interfaces, link.observable ? 'observable' : '', link.size === null ? '' : bytes(link.size)]
    : [];
}
