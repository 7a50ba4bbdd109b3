// @ts-check
/** The page: asks where to, connects, and listens to the keyboard. */

import { open } from '../jackfield/irc.js';
import { explain, showConnection } from '../shared/js/connection.js';
import { $, field } from '../shared/js/dom.js';
import { asChannel, names } from './commands.js';
import { Composer, beginning } from './composer.js';
import { forget, keepToken, load, save, token } from './saved.js';
import { Session } from './session.js';
import { View } from './view.js';

/** @import { IrcOptions } from '../jackfield/irc.js' */
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

const direct = 'TCPSocket' in globalThis;
/** @type {Config} */
let config = {};
/** @type {Session | undefined} */
let session;

const view = new View({
  look: (buffer) => session?.look(buffer),
  leave: (buffer) => session?.leave(buffer),
  talk: (nick) => session?.talk(nick),
  again: (line) => session?.again(line),
});

const composer = new Composer({
  enter: (line) => void session?.enter(line),
  refuse: (text) => {
    session?.state.add(session.state.current, { kind: 'fault', text });
    view.changed();
  },
  complete: (begun, first) => {
    if (!session) {
      return [];
    }
    if (first && begun.startsWith('/')) {
      return beginning(names, begun.slice(1)).map((name) => `/${name} `);
    }
    if (begun.startsWith('#')) {
      const channels = session.state.ordered().filter(({ kind }) => kind === 'channel').map(({ name }) => name);
      return beginning(channels, begun).map((name) => `${name} `);
    }
    return beginning(session.people(), begun).map((nick) => (first ? `${nick}: ` : `${nick} `));
  },
});

/** What was begun stays where it was begun. @param {Buffer} from @param {Buffer} to */
function looked(from, to) {
  from.draft = composer.text;
  composer.text = to.draft;
  // On a phone the keyboard would cover what one came to read.
  if (!window.matchMedia('(pointer: coarse)').matches) {
    composer.focus();
  }
}

function showChat() {
  $('welcome').hidden = true;
  $('chat').hidden = false;
  composer.text = '';
  if (session) {
    view.show(session.state);
  }
}

/** @param {string} error */
function showWelcome(error) {
  session = undefined;
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

/** What the site proposes, told apart from what it proposed before. */
function proposed() {
  return JSON.stringify([config.server, config.port, config.tls, config.relay]);
}

/** @param {string} nick @param {string[]} channels */
function keep(nick, channels) {
  save({
    nick,
    channels,
    account: field('account').value.trim(),
    server: field('server').value.trim(),
    port: field('port').value,
    tls: field('tls').checked,
    relay: field('relay').value.trim(),
    proposed: proposed(),
  });
  $('forget').hidden = false;
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
  const channels = field('channels').value.split(/[\s,]+/u).filter(Boolean).map(asChannel);
  try {
    const network = await open({ relay: relay || undefined, token: field('token').value, roots: config.roots });
    /** @type {IrcOptions} */
    const options = {
      nick,
      sasl: account === '' ? undefined : { account, password: field('password').value },
      channels,
    };
    keepToken(field('token').value === config.token ? '' : field('token').value);
    session = new Session(network, await network.irc(url, options), options, way, {
      view, looked, keep, shown: () => {
        keep(nick, channels);
        showChat();
      },
      over: showWelcome,
    });
    session.run();
  } catch (error) {
    showWelcome(explain(error, way.ports));
  }
}

$('connect').addEventListener('submit', (event) => {
  event.preventDefault();
  connect();
});

$('forget').addEventListener('click', () => {
  forget();
  fill();
  field('nick').focus();
});

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

/** The keys that mean the same wherever one is in the chat. */
document.addEventListener('keydown', (event) => {
  const { key, altKey, shiftKey, ctrlKey, metaKey } = event;
  if (!session || $('chat').hidden || ctrlKey || metaKey || event.isComposing || document.querySelector('dialog[open]')) {
    return;
  }
  const typing = document.activeElement === $('input');
  const idle = document.activeElement === document.body || document.activeElement === $('log');
  if (altKey && (key === 'ArrowUp' || key === 'ArrowDown')) {
    session.walk(key === 'ArrowUp' ? -1 : 1, shiftKey);
  } else if (!altKey && (key === 'PageUp' || key === 'PageDown') && (typing || idle)) {
    view.page(key === 'PageUp' ? -1 : 1);
  } else if (key === 'Escape' && (typing || idle)) {
    if (!typing || !composer.undo()) {
      view.toEnd();
      composer.focus();
    }
  } else {
    // Whoever begins to write means the message.
    if (idle && key.length === 1 && key !== ' ' && !altKey) {
      composer.focus();
    }
    return;
  }
  event.preventDefault();
});

/** What one had the last time, else what the site proposes. */
function fill() {
  const saved = load();
  // A site that names another server now has moved.
  const server = saved?.proposed === proposed() ? saved : null;
  field('server').value = server?.server ?? config.server ?? '';
  field('port').value = server?.port ?? String(config.port ?? 6697);
  field('tls').checked = server?.tls ?? config.tls ?? true;
  field('relay').value = server?.relay ?? config.relay ?? '';
  field('channels').value = saved?.channels.join(' ') ?? config.channels ?? '';
  field('nick').value = saved?.nick ?? config.nick ?? '';
  field('account').value = saved?.account ?? '';
  field('account-details').toggleAttribute('open', Boolean(saved?.account));
  field('token').value = token() || (config.token ?? '');
  $('forget').hidden = saved === null;
}

async function start() {
  try {
    const answer = await fetch('config.json');
    config = answer.ok ? await answer.json() : {};
  } catch {
    // A page without a configuration asks for everything.
    config = {};
  }
  fill();
  field('connect-button').disabled = false;
  $('relay-details').hidden = direct;
  $('path').textContent = direct
    ? 'Chat on any IRC server, straight from this app.'
    : 'Chat on any IRC server, from this page.';
  if (field('account').value !== '') {
    field('password').focus();
  } else if (field('nick').value !== '' && field('server').value !== '') {
    $('connect-button').focus();
  }
}

await start();
