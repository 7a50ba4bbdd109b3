// @ts-check
/** Draws the state, once a frame however much has changed. All text goes in as text. */

import { drawLock } from '../shared/js/connection.js';
import { $, button, drawers, element, field, icon, span } from '../shared/js/dom.js';
import { Lines } from './lines.js';
import { SCROLLBACK } from './state.js';
import { appendText, fold, hue } from './text.js';

/** @import { State, Buffer, Line } from './state.js' */
/** @import { Security } from '../jackfield/irc.js' */

/** How many people are listed; of more, one is told how many. */
const MAX_LISTED = 500;
/** What a window that draws no frames waits for, in milliseconds. */
const WITHOUT_FRAMES = 250;

/**
 * @typedef {object} Actions
 * @property {(buffer: Buffer) => void} look
 * @property {(buffer: Buffer) => void} leave
 * @property {(nick: string) => void} talk
 * @property {(line: Line) => void} again
 */

export class View {
  /** Whether one looks at the newest lines, and stays there. */
  following = true;
  /** @type {State | null} */
  #state = null;
  /** @type {Buffer | null} */
  #shown = null;
  #frame = 0;
  #timer = 0;
  /** What the parts show, to draw only those that show something else now. @type {Map<string, string>} */
  #drawn = new Map();

  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.log = $('log');
    this.lines = new Lines($('lines'), actions.again);
    this.closeDrawers = drawers(['sidebar', 'members']);
    $('older').textContent = `Older messages are gone: the last ${SCROLLBACK} are kept.`;
    $('to-end').addEventListener('click', () => {
      this.toEnd();
      field('input').focus();
    });
    // Told before a frame is drawn, when nothing has to be laid out for the asking.
    this.log.addEventListener('scroll', () => {
      const { scrollTop, scrollHeight, clientHeight } = this.log;
      this.following = scrollHeight - scrollTop - clientHeight < 40;
      if (this.following) {
        $('to-end').hidden = true;
      }
    }, { passive: true });
    // A keyboard that slides in, or a banner that goes, must not hide the newest line.
    new ResizeObserver(() => {
      if (this.following) {
        this.#scroll();
      }
    }).observe(this.log);
    document.addEventListener('visibilitychange', () => this.changed());
  }

  /** Shows this from now on. @param {State} state */
  show(state) {
    this.#state = state;
    this.#shown = null;
    this.#drawn.clear();
    this.draw();
  }

  /** Something is to be drawn again: at the next frame, or soon where there are none. */
  changed() {
    if (this.#frame === 0) {
      this.#frame = requestAnimationFrame(() => this.draw());
      this.#timer = window.setTimeout(() => this.draw(), WITHOUT_FRAMES);
    }
  }

  draw() {
    cancelAnimationFrame(this.#frame);
    window.clearTimeout(this.#timer);
    this.#frame = 0;
    const state = this.#state;
    if (!state) {
      return;
    }
    const { current } = state;
    this.#part('buffers', state.ordered().map((b) => [b.name, b.unread, b.mentioned, b.joined, b === current]), () => this.#buffers(state));
    this.#part('head', [current.name, current.kind, current.topic], () => this.#head(current));
    this.#part('members', [current.name, current.people], () => this.#members(current));
    this.#part('nick', state.nick, () => { $('own-nick').textContent = state.nick; });
    this.#conversation(current);
  }

  toEnd() {
    this.following = true;
    $('to-end').hidden = true;
    this.#scroll();
  }

  /** Moves up or down by most of what one sees. @param {-1 | 1} direction */
  page(direction) {
    this.log.scrollBy({ top: direction * this.log.clientHeight * 0.9 });
  }

  /** @param {string} text @param {{ error?: boolean, retry?: string }} [how] `retry`: what the button says. */
  banner(text, { error = false, retry = '' } = {}) {
    $('state').hidden = text === '';
    $('state').classList.toggle('error', error);
    // Written only when it changes: each writing is read out.
    if ($('state-text').textContent !== text) {
      $('state-text').textContent = text;
    }
    $('retry').hidden = retry === '';
    $('retry').textContent = retry;
  }

  /**
   * What stands between this page and the server.
   * @param {Security | null} security Null while there is no connection.
   * @param {string} server
   */
  lock(security, server) {
    drawLock($('lock'), security, server);
  }

  /** @param {Buffer} current */
  #conversation(current) {
    if (this.#shown !== current) {
      this.#shown = current;
      this.lines.clear();
      this.following = true;
      $('buffers').querySelector('.current')?.scrollIntoView({ block: 'nearest' });
    }
    const fresh = this.lines.update(current.lines);
    $('older').hidden = !current.cut;
    if (this.following || fresh.some(({ own }) => own)) {
      this.toEnd();
    } else if (fresh.some(({ kind }) => kind === 'said' || kind === 'fault')) {
      $('to-end').hidden = false;
    }
  }

  #scroll() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** Draws a part if what it shows has changed. @param {string} name @param {unknown} shown @param {() => void} draw */
  #part(name, shown, draw) {
    const now = JSON.stringify(shown);
    if (this.#drawn.get(name) !== now) {
      this.#drawn.set(name, now);
      draw();
    }
  }

  /** The list of conversations. @param {State} state */
  #buffers(state) {
    const items = state.ordered().map((buffer) => {
      const item = element('li', '');
      item.classList.toggle('current', buffer === state.current);
      item.classList.toggle('unread', buffer.unread > 0);
      item.classList.toggle('mentioned', buffer.mentioned);
      item.classList.toggle('gone', buffer.kind === 'channel' && !buffer.joined);
      item.dataset.buffer = buffer.name;
      const open = button('open', () => this.actions.look(buffer), span('name', buffer.name));
      if (buffer === state.current) {
        open.setAttribute('aria-current', 'true');
      }
      if (buffer.unread > 0) {
        const count = span('count', buffer.unread > 99 ? '99+' : String(buffer.unread));
        open.append(count, span('visually-hidden', ' unread'));
      }
      item.append(open);
      if (buffer.kind !== 'server') {
        const leave = button('remove', () => this.actions.leave(buffer), icon('close'));
        leave.setAttribute('aria-label', `Leave ${buffer.name}`);
        item.append(leave);
      }
      return item;
    });
    const focused = document.activeElement?.closest('#buffers li');
    const name = focused instanceof HTMLElement ? focused.dataset.buffer : undefined;
    $('buffers').replaceChildren(...items);
    items.find((item) => name !== undefined && item.dataset.buffer === name)?.querySelector('button')?.focus();
    const unread = [...state.buffers.values()].reduce((sum, { unread: n }) => sum + n, 0);
    $('unread-elsewhere').hidden = unread === 0;
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${state.current.name} · Jackfield IRC`;
  }

  /** Where one is, and what it is about. @param {Buffer} current */
  #head(current) {
    $('buffer-name').textContent = current.name;
    const topic = $('topic');
    topic.replaceChildren();
    appendText(topic, current.topic);
    topic.title = current.topic;
    topic.hidden = current.topic === '';
    $('chat').classList.toggle('alone', current.kind !== 'channel');
    field('input').placeholder = current.kind === 'server' ? 'A command: /join #channel, /help' : `Message ${current.name}`;
  }

  /** @param {Buffer} buffer */
  #members(buffer) {
    const rank = (/** @type {string} */ prefix) => {
      const at = '~&@%+'.indexOf(prefix[0] ?? ' ');
      return at < 0 ? 9 : at;
    };
    const members = [...buffer.members.values()].sort(
      (a, b) => rank(a.prefix) - rank(b.prefix) || (fold(a.nick) < fold(b.nick) ? -1 : 1),
    );
    const items = members.slice(0, MAX_LISTED).map((member) => {
      const open = button(member.away ? 'away' : '', () => this.actions.talk(member.nick));
      open.title = member.away ? `${member.nick} is away` : `Talk to ${member.nick}`;
      const nick = span('nick', member.nick);
      nick.style.setProperty('--hue', String(hue(member.nick)));
      open.append(span('prefix', member.prefix[0] ?? ''), nick);
      return element('li', '', open);
    });
    if (members.length > MAX_LISTED) {
      items.push(element('li', 'muted', `and ${members.length - MAX_LISTED} more`));
    }
    const focused = document.activeElement?.closest('#member-list button')?.textContent;
    $('member-list').replaceChildren(...items);
    if (focused) {
      items.find((item) => item.textContent === focused)?.querySelector('button')?.focus();
    }
    const count = String(members.length);
    $('member-count').textContent = count;
    $('members-title-count').textContent = count;
  }
}
