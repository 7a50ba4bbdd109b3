// @ts-check
/** Draws the state. All text goes in as text. */

import { drawLock } from '../shared/js/connection.js';
import { $, button, drawers, icon, span } from '../shared/js/dom.js';
import { appendText, fold, hue } from './text.js';
import { SCROLLBACK } from './state.js';

/** @import { State, Buffer, Line } from './state.js' */
/** @import { Security } from '../jackfield/irc.js' */

/** Messages of one person within this time stand together, in milliseconds. */
const TOGETHER = 5 * 60_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

/**
 * @typedef {object} Actions
 * @property {(buffer: Buffer) => void} look
 * @property {(buffer: Buffer) => void} leave
 * @property {(nick: string) => void} talk
 */

export class View {
  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.log = $('log');
    /** @type {Buffer | undefined} */
    this.shown = undefined;
    /** @type {Line | undefined} */
    this.last = undefined;
    this.closeDrawers = drawers(['sidebar', 'members']);
    $('to-end').addEventListener('click', () => this.toEnd());
    this.log.addEventListener('scroll', () => {
      if (this.#atEnd()) {
        $('to-end').hidden = true;
      }
    }, { passive: true });
    // A keyboard that slides in, or a banner that goes, must not hide the newest line.
    new ResizeObserver(() => {
      if (this.following) {
        this.log.scrollTop = this.log.scrollHeight;
      }
    }).observe(this.log);
  }

  following = true;

  /** @param {State} state */
  all(state) {
    this.buffers(state);
    this.conversation(state);
    $('own-nick').textContent = state.nick;
  }

  /** The list of conversations. @param {State} state */
  buffers(state) {
    const items = state.ordered().map((buffer) => {
      const item = document.createElement('li');
      item.classList.toggle('current', buffer === state.current);
      item.classList.toggle('unread', buffer.unread > 0);
      item.classList.toggle('mentioned', buffer.mentioned);
      item.classList.toggle('gone', buffer.kind === 'channel' && !buffer.joined);
      item.dataset.buffer = buffer.name;
      const open = button('open', () => this.actions.look(buffer));
      open.append(span('name', buffer.name));
      if (buffer === state.current) {
        open.setAttribute('aria-current', 'true');
      }
      if (buffer.unread > 0) {
        const count = span('count', buffer.unread > 99 ? '99+' : String(buffer.unread));
        count.setAttribute('aria-label', `${buffer.unread} unread`);
        open.append(count);
      }
      item.append(open);
      if (buffer.kind !== 'server') {
        const leave = button('remove', () => this.actions.leave(buffer));
        leave.setAttribute('aria-label', `Leave ${buffer.name}`);
        leave.append(icon('close'));
        item.append(leave);
      }
      return item;
    });
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.closest('#buffers li');
    const name = focused instanceof HTMLElement ? focused.dataset.buffer : undefined;
    $('buffers').replaceChildren(...items);
    items.find((item) => name !== undefined && item.dataset.buffer === name)?.querySelector('button')?.focus();
    const unread = [...state.buffers.values()].reduce((sum, { unread: n }) => sum + n, 0);
    $('unread-elsewhere').hidden = unread === 0;
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${state.current.name} · Jackfield IRC`;
  }

  /** What one looks at, from the beginning. @param {State} state */
  conversation(state) {
    const { current } = state;
    $('buffer-name').textContent = current.name;
    this.topic(current);
    this.members(current);
    $('chat').classList.toggle('alone', current.kind !== 'channel');
    const input = /** @type {HTMLTextAreaElement} */ ($('input'));
    input.placeholder = current.kind === 'server' ? 'A command: /join #channel, /help' : `Message ${current.name}`;
    this.last = undefined;
    this.log.replaceChildren();
    for (const line of current.lines) {
      this.#append(line);
    }
    this.shown = current;
    this.toEnd();
  }

  /** @param {Buffer} buffer */
  topic(buffer) {
    const topic = $('topic');
    topic.replaceChildren();
    appendText(topic, buffer.topic);
    topic.title = buffer.topic;
    topic.hidden = buffer.topic === '';
  }

  /** @param {Buffer} buffer */
  members(buffer) {
    const rank = (/** @type {string} */ prefix) => {
      const at = '~&@%+'.indexOf(prefix[0] ?? ' ');
      return at < 0 ? 9 : at;
    };
    const members = [...buffer.members.values()].sort(
      (a, b) => rank(a.prefix) - rank(b.prefix) || fold(a.nick).localeCompare(fold(b.nick)),
    );
    $('member-list').replaceChildren(...members.map((member) => {
      const item = document.createElement('li');
      const open = button(member.away ? 'away' : '', () => this.actions.talk(member.nick));
      open.title = member.away ? `${member.nick} is away` : `Talk to ${member.nick}`;
      const nick = span('nick', member.nick);
      nick.style.setProperty('--hue', String(hue(member.nick)));
      open.append(span('prefix', member.prefix[0] ?? ''), nick);
      item.append(open);
      return item;
    }));
    const count = String(members.length);
    $('member-count').textContent = count;
    $('members-title-count').textContent = count;
  }

  /** A line that came in. @param {Line} line */
  add(line) {
    const follow = this.#atEnd() || line.own;
    this.#append(line);
    while (this.log.children.length > SCROLLBACK + 50) {
      this.log.firstElementChild?.remove();
    }
    if (follow) {
      this.toEnd();
    } else if (line.kind !== 'event') {
      $('to-end').hidden = false;
    }
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
    this.following = true;
    $('to-end').hidden = true;
  }

  /** @param {string} text @param {{ error?: boolean, retry?: boolean }} [how] */
  banner(text, { error = false, retry = false } = {}) {
    $('state').hidden = text === '';
    $('state').classList.toggle('error', error);
    // Written only when it changes: each writing is read out.
    if ($('state-text').textContent !== text) {
      $('state-text').textContent = text;
    }
    $('retry').hidden = !retry;
  }

  /**
   * What stands between this page and the server.
   * @param {Security | null} security Null while there is no connection.
   * @param {string} server
   */
  lock(security, server) {
    drawLock($('lock'), security, server);
  }

  /** @param {Line} line */
  #append(line) {
    const previous = this.last;
    const day = new Date(line.time).toDateString();
    if (!previous || new Date(previous.time).toDateString() !== day) {
      const divider = document.createElement('div');
      divider.className = 'day';
      divider.textContent = longDay.format(line.time);
      // Today's own date is news to nobody.
      if (previous || day !== new Date().toDateString()) {
        this.log.append(divider);
      }
    }
    this.last = line;
    const item = document.createElement('div');
    item.className = line.kind;
    const time = document.createElement('time');
    const date = new Date(line.time);
    time.dateTime = date.toISOString();
    time.textContent = clock.format(date);
    const body = document.createElement('div');
    if (line.kind === 'said') {
      const together = previous?.kind === 'said' && previous.nick === line.nick && !line.action
        && !previous.action && previous.notice === line.notice && line.time - previous.time < TOGETHER;
      item.classList.toggle('first', !together);
      item.classList.toggle('own', line.own === true);
      item.classList.toggle('action', line.action === true);
      item.classList.toggle('notice', line.notice === true);
      item.classList.toggle('mention', line.mention === true);
      const nick = span(together ? 'visually-hidden' : 'nick', line.nick ?? '');
      nick.style.setProperty('--hue', String(hue(line.nick ?? '')));
      body.append(nick, together ? ' ' : '');
    }
    const text = span('text', '');
    appendText(text, line.text);
    body.append(text);
    item.append(time, body);
    this.log.append(item);
  }

  #atEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.log;
    this.following = scrollHeight - scrollTop - clientHeight < 40;
    return this.following;
  }
}
