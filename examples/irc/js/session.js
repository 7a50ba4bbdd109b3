// @ts-check
/** One stay at a server, through all its interruptions, until one leaves: events in, lines out. */

import { explain, sentence } from '../shared/js/connection.js';
import { $ } from '../shared/js/dom.js';
import { isChannel, perform } from './commands.js';
import { State } from './state.js';

/** @import { Irc, IrcEvent, IrcOptions, JackfieldError, Network, Security } from '../jackfield/irc.js' */
/** @import { Page } from './commands.js' */
/** @import { Buffer, Line } from './state.js' */
/** @import { View } from './view.js' */

/**
 * @typedef {object} Way
 * @property {string} host
 * @property {string} server With the port.
 * @property {string} url
 * @property {string} relay
 * @property {string} ports
 *
 * @typedef {object} Around What the session tells the rest of the page.
 * @property {View} view
 * @property {() => void} shown One is there, for the first time.
 * @property {(reason: string) => void} over One has left, or never got there.
 * @property {(nick: string, channels: string[]) => void} keep As whom one is there now, and where.
 * @property {(from: Buffer, to: Buffer) => void} looked
 */

export class Session {
  /** @type {Security | null} */
  security = null;
  /** @type {number | null} */
  lag = null;
  /** Whether a channel that one joins is to be looked at: the first one, or one that was asked for. */
  #following = true;
  #countdown = 0;
  #registered = false;
  /** Nothing comes of it any more by itself. */
  #stopped = false;
  #ended = false;

  /**
   * @param {Network} network
   * @param {Irc} irc
   * @param {IrcOptions} options
   * @param {Way} way
   * @param {Around} around
   */
  constructor(network, irc, options, way, around) {
    this.network = network;
    this.irc = irc;
    this.options = options;
    this.way = way;
    this.around = around;
    this.view = around.view;
    this.state = new State(way.host);
  }

  /** Takes events until the end. */
  async run() {
    const { irc } = this;
    let reason = '';
    try {
      for await (const event of irc) {
        if (irc !== this.irc) {
          return;
        }
        this.#take(event);
      }
    } catch (error) {
      reason = explain(error, this.way.ports);
    }
    if (irc === this.irc) {
      this.#over(reason);
    }
  }

  /** Connects again without waiting any longer. An attempt that is being made has a deadline of its own. */
  async retry() {
    if (!this.#stopped) {
      this.irc.reconnectNow();
      return;
    }
    this.#stopped = false;
    const channels = [...this.state.buffers.values()].filter(({ kind }) => kind === 'channel').map(({ name }) => name);
    try {
      this.irc = await this.network.irc(this.way.url, { ...this.options, nick: this.state.nick || this.options.nick, channels });
      this.run();
    } catch (error) {
      this.#over(explain(error, this.way.ports));
    }
  }

  /** @param {Buffer} buffer */
  look(buffer) {
    const from = this.state.current;
    this.state.look(buffer);
    this.view.closeDrawers();
    this.around.looked(from, buffer);
    this.view.draw();
  }

  /** Looks at the one that stands so far below, or above; or at the next of these with something unread. @param {1 | -1} step @param {boolean} unread */
  walk(step, unread) {
    const all = this.state.ordered();
    const { length } = all;
    const here = all.indexOf(this.state.current);
    for (let far = 1; far < length; far += 1) {
      const buffer = all[(here + step * far + length * far) % length];
      if (buffer && (!unread || buffer.unread > 0)) {
        this.look(buffer);
        return;
      }
    }
  }

  /** @param {Buffer} buffer */
  async leave(buffer) {
    const joined = buffer.kind === 'channel' && buffer.joined;
    this.state.close(buffer);
    this.look(this.state.current);
    this.#keep();
    if (joined) {
      await this.#try(this.irc.part(buffer.name), `/part ${buffer.name}`);
    }
  }

  /** @param {string} nick */
  talk(nick) {
    this.look(this.state.open(nick, 'query'));
  }

  /** @param {string} line */
  async enter(line) {
    const { current } = this.state;
    const target = current.kind === 'server' ? null : current.name;
    await this.#try(perform(this.irc, target, line, this.#page()), line.startsWith('/') ? line : '');
  }

  /** @param {string} channel */
  async join(channel) {
    this.#following = true;
    await this.#try(this.irc.join(channel), `/join ${channel}`);
  }

  /** Sends a line again that could not be sent. @param {Line} line */
  async again(line) {
    const buffer = [...this.state.buffers.values()].find(({ lines }) => lines.includes(line));
    if (buffer) {
      this.state.drop(buffer, line);
      const how = line.action ? 'action' : line.notice ? 'notice' : 'message';
      await this.#say(buffer.name, line.text, how);
    }
  }

  /** What a word could become. @returns {Iterable<string>} */
  *people() {
    const { current } = this.state;
    const seen = new Set();
    const others = [...current.members.values()].map(({ nick }) => nick).sort((a, b) => a.localeCompare(b));
    // Whoever spoke last is meant most often.
    const here = current.kind === 'query' ? [current.name] : [...current.speakers].reverse();
    for (const nick of [...here, ...others]) {
      if (!seen.has(nick) && nick !== this.state.nick) {
        seen.add(nick);
        yield nick;
      }
    }
  }

  /** @param {string} [reason] */
  quit(reason) {
    this.irc.close(reason || undefined).catch(() => this.irc.close());
    this.#end('');
  }

  /** @param {IrcEvent} event */
  #take(event) {
    const { view, way } = this;
    switch (event.type) {
      case 'connecting':
        window.clearInterval(this.#countdown);
        view.banner(`Connecting to ${way.server}${this.#registered ? ' again' : ''}…`);
        break;
      case 'connected':
        this.security = event.security;
        view.lock(event.security, way.host);
        view.banner('Connected; the server is greeting…');
        break;
      case 'registered':
        this.security = event.security;
        view.lock(event.security, way.host);
        view.banner('');
        $('network').textContent = event.network || way.host;
        break;
      case 'disconnected':
        this.security = null;
        view.lock(null, way.host);
        this.#wait(event);
        break;
      case 'lag':
        this.lag = event.milliseconds;
        return;
      default:
    }
    this.state.apply(event);
    if (event.type === 'registered' && !this.#registered) {
      this.#registered = true;
      this.around.shown();
    }
    if ('self' in event && event.self && event.type !== 'message') {
      this.#keep();
      const buffer = event.type === 'join' ? this.state.find(event.channel) : undefined;
      if (buffer && this.#following) {
        this.#following = false;
        this.look(buffer);
      }
    }
    view.changed();
  }

  /**
   * Says why there is no connection, and counts down to the next attempt.
   * @param {Extract<IrcEvent, { type: 'disconnected' }>} event
   */
  #wait({ error, retryIn }) {
    window.clearInterval(this.#countdown);
    const reason = explain(error, this.way.ports);
    // What can't be mended by waiting, or never worked, is shown where one can mend it.
    if (retryIn === null || !this.#registered) {
      this.#over(reason);
      return;
    }
    const until = Date.now() + retryIn;
    const tick = () => {
      const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      this.view.banner(`${reason} Trying again in ${left} s.`, { error: true, retry: 'Try now' });
    };
    tick();
    this.#countdown = window.setInterval(tick, 1000);
  }

  /** It won't come back by itself. What was said stays, and so does what was not sent. @param {string} reason */
  #over(reason) {
    window.clearInterval(this.#countdown);
    if (this.#ended) {
      return;
    }
    this.#stopped = true;
    if (this.#registered) {
      this.view.banner(reason || 'The connection has ended.', { error: true, retry: 'Connect again' });
    } else {
      this.#end(reason);
    }
  }

  /** Back to the first view. @param {string} reason */
  #end(reason) {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    window.clearInterval(this.#countdown);
    this.around.over(reason);
    if (reason !== '') {
      void this.irc.close();
    }
  }

  /** @returns {Page} */
  #page() {
    const { state } = this;
    return {
      open: (name) => this.look(state.open(name, isChannel(name) ? 'channel' : 'query')),
      close: () => void this.leave(state.current),
      clear: () => {
        state.clear(state.current);
        this.view.changed();
      },
      say: (to, text, how) => this.#say(to, text, how),
      tell: (text, table) => {
        state.add(state.current, { kind: 'event', text, table });
        this.view.changed();
      },
      quit: (reason) => this.quit(reason),
    };
  }

  /**
   * Says something. It is seen at once, and how it fares is told at the line itself.
   * @param {string} to
   * @param {string} text
   * @param {'message' | 'action' | 'notice'} how
   */
  async #say(to, text, how) {
    const { irc, state } = this;
    const line = state.begin(state.open(to, isChannel(to) ? 'channel' : 'query'), text, how);
    this.view.changed();
    try {
      await { message: () => irc.say(to, text), action: () => irc.action(to, text), notice: () => irc.notice(to, text) }[how]();
      state.settle(line);
    } catch (error) {
      // What the server may have read before the connection was lost is not said to be unsent.
      const { kind, message } = /** @type {JackfieldError} */ (error);
      const doubtful = kind === 'reset' || kind === 'timed-out' || kind === 'unexpected-eof';
      state.settle(line, `${doubtful ? 'Perhaps not sent.' : 'Not sent.'} ${sentence(message)}`);
    }
    this.view.changed();
  }

  #keep() {
    const { buffers, nick } = this.state;
    const joined = [...buffers.values()].filter(({ kind, joined: there }) => kind === 'channel' && there);
    this.around.keep(nick, joined.map(({ name }) => name));
  }

  /** @param {Promise<unknown>} doing @param {string} typed What is done, if it is a command. */
  async #try(doing, typed) {
    try {
      await doing;
    } catch (error) {
      const { kind, message } = /** @type {JackfieldError} */ (error);
      // What the page itself says of a command names it already.
      const text = kind && typed ? `${typed}: ${message}` : message;
      this.state.add(this.state.current, { kind: 'fault', text: sentence(text) });
      this.view.changed();
    }
  }
}
