// @ts-check
/** The page: asks where to, connects, and carries events to the screen and lines to the server. */

import { open } from '../jackfield/irc.js';
import { explain, sentence, showConnection } from '../shared/js/connection.js';
import { $, field } from '../shared/js/dom.js';
import { asChannel, perform } from './commands.js';
import { State } from './state.js';
import { View } from './view.js';

/** @import { Irc, IrcOptions, Network, Security } from '../jackfield/irc.js' */
/** @import { Buffer } from './state.js' */

/**
 * @typedef {object} Config What the site's owner sets in config.json; every part may be missing.
 * @property {string} [relay]
 * @property {string} [token]
 * @property {string} [roots] Certificates in PEM that servers are verified against.
 * @property {string} [server]
 * @property {number} [port]
 * @property {boolean} [tls]
 * @property {string} [channels]
 * @property {string} [nick]
 */

/** Which ports servers use, for whoever mistook one. */
const PORTS = '6697 is usual with TLS, 6667 without';
/** How many lines one typed can be called back. */
const HISTORY = 100;

const direct = 'TCPSocket' in globalThis;
/** @type {Config} */
let config = {};
/** @type {Session | undefined} */
let session;

const view = new View({
  look: (buffer) => session?.look(buffer),
  leave: (buffer) => session?.leave(buffer),
  talk: (nick) => session?.talk(nick),
});

/** One connection to a server, through all its interruptions, until one leaves. */
class Session {
  /** @type {Security | null} */
  security = null;
  /** @type {number | undefined} */
  countdown;
  /** Whether a channel that one joins is to be looked at: the first one, or one that was asked for. */
  following = true;
  ended = false;
  registered = false;

  /**
   * @param {Network} network
   * @param {Irc} irc
   * @param {IrcOptions} options
   * @param {{ host: string, server: string, url: string, relay: string }} way
   */
  constructor(network, irc, options, way) {
    this.network = network;
    this.irc = irc;
    this.options = options;
    this.way = way;
    this.state = new State(way.host);
    /** @type {number | null} */
    this.lag = null;
  }

  /** Takes events until the end. */
  async run() {
    const { irc } = this;
    try {
      for await (const event of irc) {
        if (irc !== this.irc) {
          return;
        }
        this.#take(event);
      }
      if (irc === this.irc) {
        this.end('');
      }
    } catch (error) {
      if (irc === this.irc) {
        this.end(explain(error, this.way));
      }
    }
  }

  /** Connects again without waiting any longer. */
  async retry() {
    window.clearInterval(this.countdown);
    const channels = [...this.state.buffers.values()].filter(({ kind }) => kind === 'channel').map(({ name }) => name);
    const old = this.irc;
    try {
      this.irc = await this.network.irc(this.way.url, { ...this.options, nick: this.state.nick || this.options.nick, channels });
      void old.close();
      this.run();
    } catch (error) {
      this.end(explain(error, this.way));
    }
  }

  /** @param {import('../jackfield/irc.js').IrcEvent} event */
  #take(event) {
    switch (event.type) {
      case 'connecting':
        window.clearInterval(this.countdown);
        view.banner(this.registered ? `Connecting to ${this.way.server} again…` : `Connecting to ${this.way.server}…`);
        break;
      case 'connected':
        this.security = event.security;
        view.lock(event.security, this.way.host);
        view.banner('Connected; the server is greeting…');
        break;
      case 'registered':
        this.registered = true;
        this.security = event.security;
        view.lock(event.security, this.way.host);
        showChat(this);
        view.banner('');
        $('network').textContent = event.network || this.way.host;
        break;
      case 'disconnected':
        this.security = null;
        view.lock(null, this.way.host);
        this.#wait(event);
        break;
      case 'lag':
        this.lag = event.milliseconds;
        return;
      default:
    }
    const { current } = this.state;
    for (const { buffer, line } of this.state.apply(event)) {
      if (buffer === current) {
        if (line) {
          view.add(line);
        }
        view.topic(current);
      }
    }
    if (event.type !== 'message') {
      view.members(current);
    }
    $('own-nick').textContent = this.state.nick;
    if (event.type === 'join' && event.self && this.following) {
      this.following = false;
      const buffer = this.state.find(event.channel);
      if (buffer) {
        this.look(buffer);
      }
    }
    view.buffers(this.state);
  }

  /**
   * Says why there is no connection, and counts down to the next attempt.
   * @param {Extract<import('../jackfield/irc.js').IrcEvent, { type: 'disconnected' }>} event
   */
  #wait({ error, retryIn }) {
    window.clearInterval(this.countdown);
    const reason = explain(error, this.way);
    // What can't be mended by waiting, or never worked, is shown where one can mend it.
    if (retryIn === null || !this.registered) {
      this.end(reason);
      return;
    }
    const until = Date.now() + retryIn;
    const tick = () => {
      const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      view.banner(`${reason} Trying again in ${left} s.`, { error: true, retry: true });
    };
    tick();
    this.countdown = window.setInterval(tick, 1000);
  }

  /** @param {Buffer} buffer */
  look(buffer) {
    this.state.look(buffer);
    view.closeDrawers();
    view.all(this.state);
    // On a phone the keyboard would cover what one came to read.
    if (window.matchMedia('(pointer: fine)').matches) {
      $('input').focus();
    }
  }

  /** @param {Buffer} buffer */
  async leave(buffer) {
    const joined = buffer.kind === 'channel' && buffer.joined;
    this.state.close(buffer);
    view.all(this.state);
    if (joined) {
      await this.#try(this.irc.part(buffer.name));
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
    if (/^\/j(oin)?\s/iu.test(line)) {
      this.following = true;
    }
    await this.#try(perform(this.irc, target, line, {
      open: (name) => this.look(this.state.open(name, /^[#&]/u.test(name) ? 'channel' : 'query')),
      quit: (reason) => this.quit(reason),
    }));
  }

  /** @param {string} channel */
  async join(channel) {
    this.following = true;
    await this.#try(this.irc.join(channel));
  }

  /** @param {string} [reason] */
  quit(reason) {
    this.irc.close(reason || undefined).catch(() => this.irc.close());
    this.end('');
  }

  /** Back to the first view. @param {string} reason */
  end(reason) {
    if (this.ended) {
      return;
    }
    this.ended = true;
    window.clearInterval(this.countdown);
    if (session === this) {
      session = undefined;
      showWelcome(reason);
    }
    if (reason !== '') {
      void this.irc.close();
    }
  }

  /** @param {Promise<void>} doing */
  async #try(doing) {
    try {
      await doing;
    } catch (error) {
      const text = sentence(error instanceof Error ? error.message : String(error));
      const { line } = this.state.add(this.state.current, { kind: 'fault', text });
      if (line) {
        view.add(line);
      }
    }
  }
}

/** @param {Session} started */
function showChat(started) {
  if ($('chat').hidden) {
    $('welcome').hidden = true;
    $('chat').hidden = false;
    view.all(started.state);
  }
}

/** @param {string} error */
function showWelcome(error) {
  view.closeDrawers();
  $('chat').hidden = true;
  $('welcome').hidden = false;
  $('connect-error').hidden = error === '';
  $('connect-error').textContent = error;
  field('connect-button').disabled = false;
  $('connect-button').textContent = 'Connect';
  document.title = 'Jackfield IRC';
  if (error !== '') {
    $('connect-error').scrollIntoView({ block: 'nearest' });
  }
}

async function connect() {
  const host = field('server').value.trim();
  const port = Number(field('port').value);
  const relay = field('relay').value.trim();
  const nick = field('nick').value.trim();
  if (nick === '' || host === '') {
    showWelcome(nick === '' ? 'Choose a nickname.' : 'Name a server.');
    field(nick === '' ? 'nick' : 'server').focus();
    return;
  }
  if (!direct && relay === '') {
    field('relay-details').setAttribute('open', '');
    showWelcome("An ordinary page can't open TCP connections: give the address of a relay.");
    field('relay').focus();
    return;
  }
  $('connect-error').hidden = true;
  field('connect-button').disabled = true;
  $('connect-button').textContent = 'Connecting…';
  const scheme = field('tls').checked ? 'ircs' : 'irc';
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const way = { host, server: `${host}:${port}`, url, relay, ports: PORTS };
  const account = field('account').value.trim();
  try {
    const network = await open({ relay, token: field('token').value, roots: config.roots });
    /** @type {IrcOptions} */
    const options = {
      nick,
      sasl: account === '' ? undefined : { account, password: field('password').value },
      channels: field('channels').value.split(/[\s,]+/u).filter(Boolean).map(asChannel),
    };
    session = new Session(network, await network.irc(url, options), options, way);
    session.run();
  } catch (error) {
    showWelcome(explain(error, way));
  }
}

$('connect').addEventListener('submit', (event) => {
  event.preventDefault();
  connect();
});

/** @type {string[]} */
const history = [];
let back = 0;

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = field('input');
  const lines = input.value.split('\n').map((line) => line.trimEnd()).filter(Boolean);
  input.value = '';
  input.focus();
  for (const line of lines) {
    history.push(line);
    session?.enter(line);
  }
  history.splice(0, history.length - HISTORY);
  back = 0;
});

$('input').addEventListener('keydown', (event) => {
  const input = field('input');
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    /** @type {HTMLFormElement} */ (/** @type {unknown} */ ($('composer'))).requestSubmit();
  } else if (event.key === 'Tab' && !event.shiftKey && complete(input)) {
    event.preventDefault();
  } else if (event.key === 'ArrowUp' && input.selectionStart === 0 && back < history.length) {
    event.preventDefault();
    back += 1;
    input.value = history.at(-back) ?? '';
  } else if (event.key === 'ArrowDown' && back > 0 && input.selectionEnd === input.value.length) {
    event.preventDefault();
    back -= 1;
    input.value = back === 0 ? '' : history.at(-back) ?? '';
  }
});

/** Completes the name of someone who is here. @param {HTMLInputElement} input */
function complete(input) {
  const at = input.selectionStart ?? 0;
  const start = input.value.slice(0, at).search(/\S+$/u);
  if (!session || start < 0) {
    return false;
  }
  const begun = input.value.slice(start, at).toLowerCase();
  const found = [...session.state.current.members.values()].find(({ nick }) => nick.toLowerCase().startsWith(begun));
  if (!found) {
    return false;
  }
  input.setRangeText(start === 0 ? `${found.nick}: ` : `${found.nick} `, start, at, 'end');
  return true;
}

$('join').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = field('join-channel').value.trim();
  field('join-channel').value = '';
  if (name !== '') {
    session?.join(asChannel(name));
  }
});

$('disconnect').addEventListener('click', () => session?.quit());
$('retry').addEventListener('click', () => session?.retry());
$('lock').addEventListener('click', () => {
  if (session) {
    const { kind } = session.network;
    const { lag, way, security } = session;
    showConnection(security, { ...way, kind, lag, ownRoots: config.roots !== undefined });
  }
});

async function start() {
  try {
    const answer = await fetch('config.json');
    config = answer.ok ? await answer.json() : {};
  } catch {
    // A page without a configuration asks for everything.
    config = {};
  }
  field('server').value = config.server ?? '';
  field('port').value = String(config.port ?? 6697);
  field('tls').checked = config.tls ?? true;
  field('channels').value = config.channels ?? '';
  field('nick').value = config.nick ?? '';
  field('relay').value = config.relay ?? '';
  field('token').value = config.token ?? '';
  field('connect-button').disabled = false;
  $('relay-details').hidden = direct;
  $('path').textContent = direct
    ? 'Chat on any IRC server, straight from this app.'
    : 'Chat on any IRC server, from this page.';
}

await start();
