// @ts-check
/** The log: the lines of one conversation, as elements. All text goes in as text. */

import { button, definitions, element, span } from '../shared/js/dom.js';
import { appendText, hue } from './text.js';

/** @import { Line } from './state.js' */

/** Messages of one person within this time stand together, in milliseconds. */
const TOGETHER = 5 * 60_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

/**
 * @typedef {object} Row A line that is drawn.
 * @property {Line} line
 * @property {number} version Which version of the line it shows.
 * @property {HTMLElement} item
 * @property {HTMLElement | null} day What says that a new day begins before it.
 */

export class Lines {
  /** @type {Row[]} */
  #rows = [];

  /** @param {HTMLElement} root @param {(line: Line) => void} again Sends a line that could not be sent. */
  constructor(root, again) {
    this.root = root;
    this.again = again;
  }

  /** Forgets what is drawn, before another conversation is. */
  clear() {
    this.#rows = [];
    this.root.replaceChildren();
  }

  /**
   * Draws what is new among the lines, and nothing else.
   * @param {Line[]} lines
   * @returns {Line[]} Those that were not there before.
   */
  update(lines) {
    const kept = this.#rows.filter((row) => {
      if (row.line.gone) {
        row.item.remove();
        row.day?.remove();
      }
      return !row.line.gone;
    });
    const last = kept.at(-1)?.line;
    const fresh = last ? lines.slice(lines.lastIndexOf(last) + 1) : lines;
    kept.forEach((row, at) => {
      if (row.version !== row.line.version) {
        this.#redraw(row, kept[at - 1]?.line);
      }
    });
    const added = document.createDocumentFragment();
    for (const line of fresh) {
      const previous = kept.at(-1)?.line;
      const day = newDay(line, previous);
      const item = this.#item(line, previous);
      added.append(...(day ? [day] : []), item);
      kept.push({ line, version: line.version, item, day });
    }
    this.root.append(added);
    this.#rows = kept;
    return fresh;
  }

  /** @param {Row} row @param {Line | undefined} previous */
  #redraw(row, previous) {
    const item = this.#item(row.line, previous);
    // Whoever reads who came and went goes on reading.
    const [was, is] = [row.item, item].map((one) => one.querySelector('details'));
    if (was && is) {
      is.open = was.open;
    }
    const focused = document.activeElement;
    const focus = focused !== null && row.item.contains(focused) ? focused.localName : '';
    row.item.replaceWith(item);
    row.item = item;
    row.version = row.line.version;
    if (focus !== '') {
      /** @type {HTMLElement | null} */ (item.querySelector(focus))?.focus();
    }
  }

  /** @param {Line} line @param {Line | undefined} previous */
  #item(line, previous) {
    const item = element('div', line.kind);
    const time = element('time', '');
    const date = new Date(line.time);
    time.dateTime = date.toISOString();
    time.textContent = clock.format(date);
    const body = element('div', 'body');
    if (line.kind === 'said') {
      const together = previous?.kind === 'said' && previous.nick === line.nick && !line.action
        && !previous.action && previous.notice === line.notice && line.time - previous.time < TOGETHER;
      item.classList.toggle('first', !together);
      for (const name of /** @type {const} */ (['own', 'action', 'notice', 'mention'])) {
        item.classList.toggle(name, line[name] === true);
      }
      const nick = span(together ? 'visually-hidden' : 'nick', line.nick ?? '');
      nick.style.setProperty('--hue', String(hue(line.nick ?? '')));
      body.append(nick, together ? ' ' : '');
    }
    if (line.moves && line.moves.length > 1) {
      body.append(moves(line));
    } else {
      const text = span('text', '');
      appendText(text, line.text);
      body.append(text);
    }
    if (line.table) {
      body.append(element('dl', '', ...definitions(line.table)));
    }
    if (line.fate) {
      item.classList.add(line.fate);
      body.append(line.fate === 'pending' ? span('fate muted', 'sending…') : this.#failure(line));
    }
    item.append(time, body);
    return item;
  }

  /** @param {Line} line */
  #failure(line) {
    const again = button('quiet again', () => this.again(line), 'Send again');
    return element('div', 'fate', span('', `${line.problem ?? ''} `), again);
  }
}

/** What stands between two days; the first of today needs nothing. @param {Line} line @param {Line | undefined} previous */
function newDay(line, previous) {
  const day = new Date(line.time).toDateString();
  const before = new Date(previous?.time ?? Date.now()).toDateString();
  return day === before ? null : element('div', 'day', longDay.format(line.time));
}

/** Who came and went: in one line, and one by one for whoever opens it. @param {Line} line */
function moves(line) {
  const list = element('ul', '', ...(line.moves ?? []).map(({ time, text }) => {
    const item = element('li', '');
    appendText(item, `${clock.format(time)} ${text}`);
    return item;
  }));
  return element('details', 'text', element('summary', '', line.text), list);
}
