// @ts-check
/** What the page knows: conversations, who is in them, what was said. No DOM here. */

import { MAX_MOVES, summary } from './moves.js';
import { fold, mentions } from './text.js';

/** @import { IrcEvent } from '../jackfield/irc.js' */
/** @import { Move } from './moves.js' */

/** How many lines each conversation keeps; older ones go, but for those that were not sent. */
export const SCROLLBACK = 1000;
/** How many conversations are kept; a stranger's message beyond it goes to the server's. */
export const MAX_BUFFERS = 200;

/**
 * @typedef {object} Line
 * @property {number} id
 * @property {'said' | 'event' | 'moves' | 'fault'} kind
 * @property {number} time Milliseconds since 1970.
 * @property {string} [nick]
 * @property {string} text
 * @property {boolean} [own]
 * @property {boolean} [action]
 * @property {boolean} [notice]
 * @property {boolean} [mention]
 * @property {Move[]} [moves] Of kind `moves`.
 * @property {[string, string][]} [table] What stands below the text: terms, and what they are.
 * @property {'pending' | 'failed'} [fate] Of one's own line that is not sent yet, or could not be.
 * @property {string} [problem] Why it could not.
 * @property {string} [unheard] What of one's own line the server has not said back.
 * @property {number} version Grows when the line changes.
 * @property {boolean} gone Whether it is kept no longer.
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
 * @property {number} people Grows when `members` changes.
 * @property {string[]} speakers Who spoke, the last one last.
 * @property {Line[]} lines
 * @property {boolean} cut Whether older lines are gone.
 * @property {number} unread
 * @property {boolean} mentioned
 * @property {string} draft What one has begun to write here.
 */

/** Comings and goings within this time stand in one line, in milliseconds. */
const TOGETHER = 15 * 60_000;
/** How many speakers are remembered, to complete their names first. */
const SPEAKERS = 100;

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
        name, kind, joined: false, topic: '', members: new Map(), people: 0, speakers: [],
        lines: [], cut: false, unread: 0, mentioned: false, draft: '',
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
   * @param {Omit<Line, 'id' | 'time' | 'version' | 'gone'> & { time?: number }} line
   * @returns {Line}
   */
  add(buffer, line) {
    const added = { time: Date.now(), ...line, id: (this.#lines += 1), version: 0, gone: false };
    buffer.lines.push(added);
    if (buffer.lines.length > SCROLLBACK) {
      // What was not sent is not to be forgotten for that.
      const oldest = Math.max(0, buffer.lines.findIndex(({ fate }) => fate === undefined));
      buffer.lines.splice(oldest, 1).forEach((old) => { old.gone = true; });
      buffer.cut = true;
    }
    if (buffer !== this.current && (line.kind === 'said' || line.kind === 'fault') && !line.own) {
      buffer.unread += 1;
      buffer.mentioned ||= line.mention === true || buffer.kind === 'query';
    }
    return added;
  }

  /**
   * A line of one's own, before the server has it.
   * @param {Buffer} buffer
   * @param {string} text
   * @param {'message' | 'action' | 'notice'} how
   */
  begin(buffer, text, how) {
    return this.add(buffer, {
      kind: 'said', nick: this.nick, text, own: true, action: how === 'action', notice: how === 'notice',
      fate: 'pending', unheard: text,
    });
  }

  /** The line is sent, or could not be, and why. @param {Line} line @param {string} [problem] */
  settle(line, problem) {
    line.fate = problem === undefined ? undefined : 'failed';
    line.problem = problem;
    if (problem !== undefined) {
      line.unheard = undefined;
    }
    line.version += 1;
  }

  /** Takes a line away, since it is sent again. @param {Buffer} buffer @param {Line} line */
  drop(buffer, line) {
    buffer.lines = buffer.lines.filter((known) => known !== line);
    line.gone = true;
  }

  /** Takes all lines away but those that were not sent. @param {Buffer} buffer */
  clear(buffer) {
    const kept = buffer.lines.filter(({ fate }) => fate !== undefined);
    buffer.lines.forEach((line) => { line.gone = !kept.includes(line); });
    buffer.lines = kept;
    buffer.cut = false;
  }

  /**
   * Takes an event in.
   * @param {IrcEvent} event
   */
  apply(event) {
    const { time } = event;
    switch (event.type) {
      case 'registered':
        this.nick = event.nick;
        this.add(this.server, { kind: 'event', text: `Welcome, ${event.nick}.` });
        break;
      case 'disconnected':
        for (const buffer of this.buffers.values()) {
          buffer.joined = false;
          buffer.members.clear();
          buffer.people += 1;
          // What was not said back by now never will be.
          buffer.lines.forEach((line) => { line.unheard = undefined; });
        }
        break;
      case 'message':
        this.#message(event);
        break;
      case 'join': {
        const buffer = this.open(event.channel, 'channel');
        if (event.self) {
          buffer.joined = true;
          buffer.members.clear();
        }
        this.#member(buffer, event.nick, { nick: event.nick, prefix: '', away: false });
        if (event.self) {
          this.add(buffer, { kind: 'event', time, text: 'You joined.' });
        } else {
          this.#move(buffer, { what: 'came', nick: event.nick, text: `${event.nick} joined.`, time });
        }
        break;
      }
      case 'part':
      case 'kick':
        this.#left(event);
        break;
      case 'quit': {
        const why = event.reason ? ` (${event.reason})` : '';
        this.#where(event.nick).forEach((buffer) => {
          this.#member(buffer, event.nick, null);
          this.#move(buffer, { what: 'went', nick: event.nick, text: `${event.nick} left IRC${why}.`, time });
        });
        break;
      }
      case 'nick':
        this.#nick(event);
        break;
      case 'topic': {
        const buffer = this.open(event.channel, 'channel');
        buffer.topic = event.topic;
        if (event.by) {
          const text = event.topic === '' ? `${event.by} removed the topic.` : `${event.by} set the topic: ${event.topic}`;
          this.add(buffer, { kind: 'event', time, text });
        }
        break;
      }
      case 'members': {
        const buffer = this.open(event.channel, 'channel');
        buffer.members = new Map(event.members.map((member) => [fold(member.nick), member]));
        buffer.people += 1;
        break;
      }
      case 'rank': {
        const buffer = this.find(event.channel);
        const member = buffer?.members.get(fold(event.nick));
        if (buffer && member) {
          this.#member(buffer, event.nick, { ...member, prefix: event.prefix });
        }
        break;
      }
      case 'away':
        this.#where(event.nick).forEach((buffer) => {
          const member = buffer.members.get(fold(event.nick));
          if (member) {
            this.#member(buffer, event.nick, { ...member, away: event.away });
          }
        });
        break;
      case 'mode': {
        const buffer = this.find(event.target) ?? this.server;
        this.add(buffer, { kind: 'event', time, text: `${event.by || 'The server'} set ${event.modes}.` });
        break;
      }
      case 'fault': {
        const buffer = (event.about && this.find(event.about)) || this.current;
        this.add(buffer, { kind: 'fault', time, text: event.text });
        break;
      }
      case 'invite': {
        const whom = event.self ? 'you' : event.nick;
        return [this.add(this.server, { kind: 'event', time, text: `${event.by} invites ${whom} to ${event.channel}.` })];
      }
      case 'info':
        this.add(this.server, { kind: 'event', time, text: event.text });
        break;
      case 'raw':
        this.add(this.server, { kind: 'event', time, text: [event.command, ...event.params].join(' ') });
        break;
      default:
    }
  }

  /** @param {Extract<IrcEvent, { type: 'message' }>} event */
  #message(event) {
    const own = event.self;
    const toMe = fold(event.target) === fold(this.nick);
    let buffer = this.server;
    if (/^[#&+!]/u.test(event.target)) {
      buffer = this.open(event.target, 'channel');
    } else if (!event.server && !(event.notice && toMe && !this.find(event.from))) {
      buffer = this.open(own ? event.target : event.from, 'query');
    }
    if (own && this.#heard(buffer, event)) {
      return;
    }
    if (!own && !event.server) {
      buffer.speakers = [...buffer.speakers.filter((nick) => nick !== event.from), event.from].slice(-SPEAKERS);
    }
    this.add(buffer, {
      kind: 'said',
      time: event.time,
      nick: event.from,
      text: event.text,
      own,
      action: event.action,
      notice: event.notice,
      mention: !own && mentions(event.text, this.nick),
    });
  }

  /**
   * Whether a message is what one wrote oneself and sees already: the whole line, or the next piece of a long one.
   * @param {Buffer} buffer
   * @param {Extract<IrcEvent, { type: 'message' }>} event
   */
  #heard(buffer, event) {
    const line = buffer.lines.find(({ unheard, action, notice }) => unheard !== undefined
      && action === event.action && notice === event.notice && unheard.startsWith(event.text));
    if (line?.unheard === undefined) {
      return false;
    }
    line.unheard = line.unheard.slice(event.text.length).trimStart() || undefined;
    if (line.unheard === undefined) {
      this.settle(line);
    }
    return true;
  }

  /** @param {Extract<IrcEvent, { type: 'part' | 'kick' }>} event */
  #left(event) {
    const buffer = this.find(event.channel);
    if (!buffer) {
      return;
    }
    const { nick, time, self } = event;
    const why = event.reason ? ` (${event.reason})` : '';
    this.#member(buffer, nick, null);
    if (self) {
      buffer.joined = false;
      buffer.members.clear();
    }
    if (event.type === 'kick') {
      const who = self ? 'You were' : `${nick} was`;
      this.add(buffer, { kind: 'event', time, text: `${who} removed by ${event.by}${why}.` });
    } else if (self) {
      this.add(buffer, { kind: 'event', time, text: `You left${why}.` });
    } else {
      this.#move(buffer, { what: 'went', nick, text: `${nick} left${why}.`, time });
    }
  }

  /** @param {Extract<IrcEvent, { type: 'nick' }>} event */
  #nick({ from, to, self, time }) {
    if (self) {
      this.nick = to;
    }
    this.#where(from).forEach((buffer) => {
      const member = buffer.members.get(fold(from));
      this.#member(buffer, from, null);
      this.#member(buffer, to, { prefix: '', away: false, ...member, nick: to });
      if (self) {
        this.add(buffer, { kind: 'event', time, text: `You are now ${to}.` });
      } else {
        this.#move(buffer, { what: 'renamed', nick: to, text: `${from} is now ${to}.`, time });
      }
    });
    const query = this.find(from);
    if (query?.kind === 'query' && !this.find(to)) {
      this.buffers.delete(fold(from));
      this.buffers.set(fold(to), query);
      query.name = to;
    }
  }

  /** Adds it to the line of the moves before it, where nothing was said since. @param {Buffer} buffer @param {Move} move */
  #move(buffer, move) {
    const last = buffer.lines.at(-1);
    if (last?.moves && last.moves.length < MAX_MOVES && move.time - last.time < TOGETHER) {
      last.moves.push(move);
      last.text = summary(last.moves);
      last.version += 1;
    } else {
      this.add(buffer, { kind: 'moves', time: move.time, text: move.text, moves: [move] });
    }
  }

  /** @param {Buffer} buffer @param {string} nick @param {Member | null} member */
  #member(buffer, nick, member) {
    if (member) {
      buffer.members.set(fold(nick), member);
    } else {
      buffer.members.delete(fold(nick));
    }
    buffer.people += 1;
  }

  /** @param {string} nick */
  #where(nick) {
    return [...this.buffers.values()].filter((buffer) => buffer.members.has(fold(nick)));
  }
}
