// @ts-check
/** What the page knows: conversations, who is in them, what was said. No DOM here. */

import { fold, mentions } from './text.js';

/** @import { IrcEvent } from '../jackfield/irc.js' */

/** How many lines each conversation keeps; older ones go. */
export const SCROLLBACK = 1000;
/** How many conversations are kept; a stranger's message beyond it goes to the server's. */
export const MAX_BUFFERS = 200;

/**
 * @typedef {object} Line
 * @property {number} id
 * @property {'said' | 'event' | 'fault'} kind
 * @property {number} time Milliseconds since 1970.
 * @property {string} [nick]
 * @property {string} text
 * @property {boolean} [own]
 * @property {boolean} [action]
 * @property {boolean} [notice]
 * @property {boolean} [mention]
 *
 * @typedef {object} Member
 * @property {string} nick
 * @property {string} prefix The signs before the name, highest first: `@`, `+`.
 * @property {boolean} away
 *
 * @typedef {object} Buffer
 * @property {string} name
 * @property {'server' | 'channel' | 'query'} kind
 * @property {boolean} joined
 * @property {string} topic
 * @property {Map<string, Member>} members
 * @property {Line[]} lines
 * @property {number} unread
 * @property {boolean} mentioned
 *
 * @typedef {object} Change What an event changed, so that only that is drawn again.
 * @property {Buffer} [buffer]
 * @property {Line} [line]
 */

export class State {
  /** @type {Map<string, Buffer>} */
  buffers = new Map();
  nick = '';
  /** What `Buffer` one looks at. */
  current;
  server;
  #lines = 0;

  /** @param {string} serverName */
  constructor(serverName) {
    this.server = this.open(serverName, 'server');
    this.current = this.server;
  }

  /** All, in the order in which they are shown: the server, channels, people. */
  ordered() {
    const rank = { server: 0, channel: 1, query: 2 };
    return [...this.buffers.values()].sort(
      (a, b) => rank[a.kind] - rank[b.kind] || a.name.localeCompare(b.name),
    );
  }

  /** @param {string} name */
  find(name) {
    return this.buffers.get(fold(name));
  }

  /**
   * The conversation of this name, made where it isn't there.
   * @param {string} name
   * @param {Buffer['kind']} kind
   * @returns {Buffer}
   */
  open(name, kind) {
    const key = kind === 'server' ? '' : fold(name);
    let buffer = this.buffers.get(key);
    if (!buffer) {
      if (this.buffers.size >= MAX_BUFFERS) {
        return this.server;
      }
      buffer = {
        name, kind, joined: false, topic: '', members: new Map(), lines: [], unread: 0, mentioned: false,
      };
      this.buffers.set(key, buffer);
    }
    return buffer;
  }

  /** @param {Buffer} buffer */
  close(buffer) {
    if (buffer.kind !== 'server') {
      this.buffers.delete(fold(buffer.name));
      if (this.current === buffer) {
        this.look(this.server);
      }
    }
  }

  /** @param {Buffer} buffer */
  look(buffer) {
    this.current = buffer;
    buffer.unread = 0;
    buffer.mentioned = false;
  }

  /**
   * @param {Buffer} buffer
   * @param {Omit<Line, 'id' | 'time'> & { time?: number }} line
   * @returns {Change}
   */
  add(buffer, line) {
    const added = { time: Date.now(), ...line, id: (this.#lines += 1) };
    buffer.lines.push(added);
    if (buffer.lines.length > SCROLLBACK) {
      buffer.lines.splice(0, buffer.lines.length - SCROLLBACK);
    }
    if (buffer !== this.current && (line.kind === 'said' || line.kind === 'fault') && !line.own) {
      buffer.unread += 1;
      buffer.mentioned ||= line.mention === true || buffer.kind === 'query';
    }
    return { buffer, line: added };
  }

  /**
   * Takes an event in, and says what it changed.
   * @param {IrcEvent} event
   * @returns {Change[]}
   */
  apply(event) {
    const { time } = event;
    switch (event.type) {
      case 'registered':
        this.nick = event.nick;
        return [this.add(this.server, { kind: 'event', text: `Welcome, ${event.nick}.` })];
      case 'disconnected':
        for (const buffer of this.buffers.values()) {
          buffer.joined = false;
          buffer.members.clear();
        }
        return [];
      case 'message': return this.#message(event);
      case 'join': {
        const buffer = this.open(event.channel, 'channel');
        if (event.self) {
          buffer.joined = true;
          buffer.members.clear();
        }
        buffer.members.set(fold(event.nick), { nick: event.nick, prefix: '', away: false });
        const text = event.self ? 'You joined.' : `${event.nick} joined.`;
        return [this.add(buffer, { kind: 'event', time, text })];
      }
      case 'part':
      case 'kick': {
        const buffer = this.find(event.channel);
        if (!buffer) {
          return [];
        }
        buffer.members.delete(fold(event.nick));
        const why = event.reason ? ` (${event.reason})` : '';
        const who = event.self ? 'You' : event.nick;
        let text = `${who} left${why}.`;
        if (event.type === 'kick') {
          text = `${who} ${event.self ? 'were' : 'was'} removed by ${event.by}${why}.`;
        }
        if (event.self) {
          buffer.joined = false;
          buffer.members.clear();
        }
        return [this.add(buffer, { kind: 'event', time, text })];
      }
      case 'quit': {
        const why = event.reason ? ` (${event.reason})` : '';
        return this.#where(event.nick).map((buffer) => {
          buffer.members.delete(fold(event.nick));
          return this.add(buffer, { kind: 'event', time, text: `${event.nick} left IRC${why}.` });
        });
      }
      case 'nick': return this.#nick(event);
      case 'topic': {
        const buffer = this.open(event.channel, 'channel');
        buffer.topic = event.topic;
        return event.by
          ? [this.add(buffer, { kind: 'event', time, text: `${event.by} set the topic: ${event.topic}` })]
          : [{ buffer }];
      }
      case 'members': {
        const buffer = this.open(event.channel, 'channel');
        buffer.members = new Map(event.members.map((member) => [fold(member.nick), member]));
        return [{ buffer }];
      }
      case 'rank': {
        const buffer = this.find(event.channel);
        const member = buffer?.members.get(fold(event.nick));
        if (!buffer || !member) {
          return [];
        }
        member.prefix = event.prefix;
        return [{ buffer }];
      }
      case 'away':
        return this.#where(event.nick).map((buffer) => {
          const member = buffer.members.get(fold(event.nick));
          if (member) {
            member.away = event.away;
          }
          return { buffer };
        });
      case 'mode': {
        const buffer = this.find(event.target) ?? this.server;
        return [this.add(buffer, { kind: 'event', time, text: `${event.by || 'The server'} set ${event.modes}.` })];
      }
      case 'fault': {
        const buffer = (event.about && this.find(event.about)) || this.current;
        return [this.add(buffer, { kind: 'fault', time, text: event.text })];
      }
      case 'info':
        return [this.add(this.server, { kind: 'event', time, text: event.text })];
      default:
        return [];
    }
  }

  /** @param {Extract<IrcEvent, { type: 'message' }>} event */
  #message(event) {
    const own = event.self;
    const toMe = fold(event.target) === fold(this.nick);
    const line = /** @type {const} */ ({ kind: 'said', time: event.time, nick: event.from, text: event.text, own });
    const extra = {
      action: event.action,
      notice: event.notice,
      mention: !own && mentions(event.text, this.nick),
    };
    let buffer = this.server;
    if (/^[#&+!]/u.test(event.target)) {
      buffer = this.open(event.target, 'channel');
    } else if (!event.server && !(event.notice && toMe && !this.find(event.from))) {
      buffer = this.open(own ? event.target : event.from, 'query');
    }
    return [this.add(buffer, { ...line, ...extra })];
  }

  /** @param {Extract<IrcEvent, { type: 'nick' }>} event */
  #nick({ from, to, self, time }) {
    if (self) {
      this.nick = to;
    }
    const changes = this.#where(from).map((buffer) => {
      const member = buffer.members.get(fold(from));
      buffer.members.delete(fold(from));
      buffer.members.set(fold(to), { prefix: '', away: false, ...member, nick: to });
      const text = self ? `You are now ${to}.` : `${from} is now ${to}.`;
      return this.add(buffer, { kind: 'event', time, text });
    });
    const query = this.find(from);
    if (query?.kind === 'query' && !this.find(to)) {
      this.buffers.delete(fold(from));
      this.buffers.set(fold(to), query);
      query.name = to;
      changes.push({ buffer: query });
    }
    return changes;
  }

  /** @param {string} nick */
  #where(nick) {
    return [...this.buffers.values()].filter((buffer) => buffer.members.has(fold(nick)));
  }
}
