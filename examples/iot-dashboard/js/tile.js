// @ts-check
/** A tile: a value with its chart, a switch, a presence, a text, or a place for a file. */

import { button, element, icon, setIcon, span } from '../shared/js/dom.js';
import { Broker } from './broker.js';
import { Chart } from './chart.js';
import { Device } from './device.js';
import { ago, bytes, figure, since } from './reading.js';
import { wholeOf } from './source.js';

/** @import { Item } from './source.js' */
/** @import { Upload } from './device.js' */

/** @typedef {Broker | Device} AnySource */
/** @typedef {'number' | 'switch' | 'presence' | 'text' | 'upload'} Kind */

/** @type {Record<Kind, string>} */
const ICONS = { number: 'chart', switch: 'light', presence: 'presence', text: 'text', upload: 'upload' };
const HUES = ['--series-1', '--series-2', '--series-3', '--series-4', '--series-5'];
/** Over how long the least and the greatest value are told, in milliseconds. */
const TOLD = 300_000;
let menus = 0;

export class Tile {
  /** @type {Kind | null} */
  #kind = null;
  /** @type {Chart | null} */
  #chart = null;
  #pointed = '';

  /**
   * @param {AnySource} source
   * @param {string} key
   * @param {(source: AnySource, key: string) => void} edit
   */
  constructor(source, key, edit) {
    this.source = source;
    this.key = key;
    this.icon = icon('chart');
    this.title = element('h3', 'tile-title');
    this.absent = span('badge bad', 'offline');
    this.badges = element('span', 'badges');
    this.body = element('div', 'tile-body');
    this.foot = span('when', '');
    this.root = element(
      'article',
      'tile',
      element('header', '', this.icon, this.title, this.#menu(edit)),
      this.body,
      element('footer', 'muted', this.foot, this.absent, this.badges),
    );
    this.root.dataset.key = key;
    this.update();
  }

  get kind() {
    return this.#kind;
  }

  update() {
    const { source, key } = this;
    const item = source.items.get(key);
    const kind = this.#kindOf(item);
    if (kind !== this.#kind) {
      this.#become(kind);
    }
    const title = source.pin(key)?.title || titleOf(source, key);
    setText(this.title, title);
    this.title.title = key;
    const absent = kind !== 'presence' && source.absent(key);
    const live = source.state === 'connected' && !absent;
    this.root.classList.toggle('stale', !live);
    this.absent.hidden = !absent;
    this.#badges(item);
    this.#update?.(item, title);
    const failed = item?.error ?? '';
    this.foot.classList.toggle('bad', failed !== '');
    setText(this.foot, failed || this.#foot(item));
  }

  destroy() {
    this.#chart?.destroy();
    this.#chart = null;
    this.root.remove();
  }

  /** @type {((item: Item | undefined, title: string) => void) | null} */
  #update = null;

  /** @param {Item | undefined} item @returns {Kind} */
  #kindOf(item) {
    if (this.source instanceof Device && this.source.takesFiles(this.key)) {
      return 'upload';
    }
    const kind = item?.reading?.kind;
    if (kind === undefined || kind === 'empty' || kind === 'binary') {
      return this.#kind ?? 'text';
    }
    return kind;
  }

  /** @param {Kind} kind */
  #become(kind) {
    this.#kind = kind;
    this.#chart?.destroy();
    this.#chart = null;
    this.root.dataset.kind = kind;
    setIcon(this.icon, ICONS[kind]);
    this.body.replaceChildren();
    switch (kind) {
      case 'number': this.#update = this.#number(); break;
      case 'switch': this.#update = this.#switch(); break;
      case 'presence': this.#update = this.#presence(); break;
      case 'upload': this.#update = this.#upload(); break;
      default: this.#update = this.#text();
    }
  }

  #number() {
    const value = span('value', '');
    const unit = span('unit', '');
    const place = element('div', 'chart');
    place.setAttribute('role', 'img');
    const hue = HUES[this.source.chart(this.key) % HUES.length] ?? '--series-1';
    this.root.style.setProperty('--hue', `var(${hue})`);
    this.body.append(element('p', 'reading', value, unit), place);
    return (/** @type {Item | undefined} */ item, /** @type {string} */ title) => {
      if (!item) {
        return;
      }
      this.#chart ??= new Chart(place, item.series, hue, (text) => {
        this.#pointed = text;
        setText(this.foot, text || this.#foot(item));
      });
      const measure = this.source.pin(this.key)?.unit ?? item.reading?.unit ?? '';
      setText(value, item.reading?.text ?? '–');
      setText(unit, measure);
      this.#chart.update();
      const range = item.series.range(Date.now() - TOLD);
      const told = range
        ? `${title}: ${item.reading?.text} ${measure}; in the last five minutes between ${figure(range.least)} and ${figure(range.greatest)}`
        : `${title}: nothing in the last five minutes`;
      place.setAttribute('aria-label', told);
    };
  }

  #switch() {
    const word = span('word', '');
    const thumb = button('switch', () => {
      const item = this.source.items.get(this.key);
      this.source.turn(this.key, !(item?.wanted ?? item?.reading?.on));
    }, span('thumb', ''));
    thumb.setAttribute('role', 'switch');
    this.body.append(element('div', 'control', word, thumb));
    return (/** @type {Item | undefined} */ item, /** @type {string} */ title) => {
      const on = item?.wanted ?? item?.reading?.on ?? false;
      thumb.setAttribute('aria-checked', String(on));
      thumb.setAttribute('aria-label', title);
      thumb.classList.toggle('pending', item?.wanted != null);
      thumb.disabled = this.source.state !== 'connected';
      const lock = /locked$/u.test(item?.reading?.text ?? '');
      setIcon(this.icon, lock ? (on ? 'lock' : 'unlocked') : ICONS.switch);
      this.root.classList.toggle('lit', !lock && item?.reading?.on === true);
      setText(word, item?.wanted != null ? 'switching…' : item?.reading?.text ?? '–');
    };
  }

  #presence() {
    const word = span('word', '');
    this.body.append(element('div', 'control', word));
    return (/** @type {Item | undefined} */ item) => {
      setText(word, item?.reading?.text ?? '–');
      this.root.classList.toggle('there', item?.reading?.on === true);
      this.root.classList.toggle('gone', item?.reading?.on === false);
    };
  }

  #text() {
    const text = element('p', 'said');
    this.body.append(text);
    return (/** @type {Item | undefined} */ item) => {
      setText(text, item?.reading ? item.reading.text || '(empty)' : 'Nothing has come yet.');
      text.classList.toggle('muted', !item?.reading);
      // What is longer than its tile is scrolled, with the keyboard too.
      if (text.scrollHeight > text.clientHeight) {
        text.tabIndex = 0;
      } else {
        text.removeAttribute('tabindex');
      }
    };
  }

  #upload() {
    const { source, key } = this;
    if (!(source instanceof Device)) {
      return null;
    }
    const input = element('input', '');
    input.type = 'file';
    input.hidden = true;
    input.addEventListener('change', () => {
      const file = input.files?.[0];
      if (file) {
        source.upload(key, file);
      }
      input.value = '';
    });
    const choose = button('quiet choose', () => input.click(), icon('upload'), 'Choose a file');
    const cancel = button('quiet cancel', () => source.uploads.get(key)?.abort.abort(), 'Cancel');
    const bar = element('progress', '');
    const told = element('p', 'said');
    const moved = element('p', 'moved muted');
    this.body.append(told, bar, moved, element('div', 'actions', input, choose, cancel));
    return (/** @type {Item | undefined} */ _, /** @type {string} */ title) => {
      const upload = source.uploads.get(key);
      const running = upload?.state === 'running';
      bar.hidden = moved.hidden = upload === undefined;
      cancel.hidden = !running;
      choose.hidden = running === true;
      choose.disabled = source.state !== 'connected';
      if (!upload) {
        setText(told, 'Sends a file to the device, block by block.');
        told.className = 'said muted';
        return;
      }
      bar.max = Math.max(upload.total, 1);
      bar.value = upload.done;
      bar.setAttribute('aria-label', `${title}: ${upload.file}`);
      told.className = `said ${upload.state}`;
      setText(told, running ? upload.file : upload.text);
      setText(moved, progress(upload));
    };
  }

  /** @param {Item | undefined} item */
  #badges(item) {
    const wanted = [];
    if (item?.retained) {
      wanted.push('retained');
    }
    // A small tile has room for two, and "offline" says more.
    if (item && item.qos > 0 && this.absent.hidden) {
      wanted.push(`QoS ${item.qos}`);
    }
    if (this.source instanceof Device && this.source.link(this.key)?.observable) {
      wanted.push('observed');
    }
    const text = wanted.join();
    if (this.badges.dataset.shown !== text) {
      this.badges.dataset.shown = text;
      this.badges.replaceChildren(...wanted.map((word) => span('badge', word)));
    }
  }

  /** @param {Item | undefined} item */
  #foot(item) {
    if (this.#pointed !== '') {
      return this.#pointed;
    }
    return whenOf(item);
  }

  /** @param {(source: AnySource, key: string) => void} edit */
  #menu(edit) {
    const list = element('div', 'menu card');
    list.id = `menu-${menus += 1}`;
    list.popover = 'auto';
    const entry = (/** @type {string} */ name, /** @type {string} */ text, /** @type {() => void} */ press) =>
      button('', () => {
        list.hidePopover();
        press();
      }, icon(name), text);
    list.append(
      entry('pen', 'Title and unit', () => edit(this.source, this.key)),
      ...(this.source instanceof Device
        ? [entry('refresh', 'Read now', () => /** @type {Device} */ (this.source).refresh(wholeOf(this.key)))] : []),
      entry('pin', 'Take off', () => this.source.setPinned(this.key, false)),
    );
    const open = button('icon more', () => {
      const box = open.getBoundingClientRect();
      list.style.right = `${document.documentElement.clientWidth - box.right}px`;
      list.showPopover();
      // Below, where there is room, else above.
      const { offsetHeight } = list;
      const below = box.bottom + offsetHeight <= window.innerHeight;
      list.style.top = `${below ? box.bottom : Math.max(0, box.top - offsetHeight)}px`;
      list.querySelector('button')?.focus();
    }, icon('more'));
    open.setAttribute('aria-label', `More about ${this.key}`);
    open.setAttribute('aria-haspopup', 'true');
    list.addEventListener('toggle', (event) => {
      if (/** @type {ToggleEvent} */ (event).newState === 'closed' && list.contains(document.activeElement)) {
        open.focus();
      }
    });
    return element('div', 'menu-place', open, list);
  }
}

/** When a value came, or since when it stands. @param {Item | undefined} item */
export function whenOf(item) {
  if (!item || item.time === 0) {
    return '';
  }
  return item.retained ? since(item.time, item.measured) : ago(item.time);
}

/** What a topic or a path is called: its last part, and what that is part of. @param {AnySource} source @param {string} key */
export function titleOf(source, key) {
  const title = source instanceof Device ? source.link(key)?.title : null;
  if (title) {
    return title;
  }
  const parts = key.split(key.includes('#') ? /[/#.]/u : /\//u).filter(Boolean).map((part) => part.replaceAll(/[_-]+/gu, ' '));
  const last = parts.at(-1) ?? key;
  const name = parts.length > 1 ? `${parts.at(-2)} ${last}` : last;
  return name[0]?.toUpperCase() + name.slice(1);
}

/** @param {Upload} upload */
function progress({ done, total, since, state }) {
  const seconds = (performance.now() - since) / 1000;
  const share = `${bytes(done)} of ${bytes(total)}`;
  if (state !== 'running' || seconds < 1 || done === 0) {
    return share;
  }
  const left = Math.ceil((total - done) * seconds / done);
  return `${share}, ${bytes(Math.round(done / seconds))}/s, ${left} s left`;
}

/** Writes only what changes. @param {Element} place @param {string} text */
export function setText(place, text) {
  if (place.textContent !== text) {
    place.textContent = text;
  }
}
