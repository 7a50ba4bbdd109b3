// @ts-check
/** The page: opens the network, remembers brokers and devices, and carries them to the screen. */

import { open } from '../jackfield/iot.js';
import { explain } from '../shared/js/connection.js';
import { $, drawers, field } from '../shared/js/dom.js';
import { Broker } from './broker.js';
import { Device } from './device.js';
import { forgetSecret, keepSecret, load, save, secret } from './saved.js';
import { View } from './view.js';

/** @import { Network } from '../jackfield/iot.js' */
/** @import { SavedSource } from './saved.js' */
/** @import { AnySource } from './tile.js' */

/**
 * @typedef {object} Config What the site's owner sets in config.json; every part may be missing.
 * @property {string} [relay]
 * @property {string} [token]
 * @property {string} [roots] Certificates in PEM that servers are verified against.
 * @property {{ name: string, url: string, filters?: string[] }[]} [sources] Brokers and devices to propose.
 */

const direct = 'TCPSocket' in globalThis;
const saved = load();
/** @type {Config} */
let config = {};
/** @type {Promise<Network> | null} */
let network = null;

const around = {
  network: () => {
    network ??= open({ relay: around.relay || undefined, token: token() || undefined, roots: config.roots });
    return network;
  },
  relay: '',
  ownRoots: false,
  changed: () => view.changed(),
  keep: () => save(saved),
  announce: (/** @type {string} */ text) => { $('announcer').textContent = text; },
};

/** @param {string} id */
const dialog = (id) => /** @type {HTMLDialogElement} */ ($(id));

const closeDrawers = drawers(['sidebar']);
const view = new View({
  add: () => showAdd(),
  take: (suggested) => take({ ...suggested, id: newId(), pins: [], unpinned: [] }),
  remove,
  change: showChange,
  edit: showTile,
});

/** @param {SavedSource} source */
function start(source) {
  const made = source.url.startsWith('coap') ? new Device(source, around) : new Broker(source, around);
  view.sources.push(made);
  made.run();
  return made;
}

/** Adds what was asked for. @param {SavedSource} source */
function take(source) {
  saved.sources.push(source);
  around.keep();
  start(source);
  propose();
  view.changed();
}

/** @param {AnySource} source */
function remove(source) {
  source.close();
  view.sources = view.sources.filter((known) => known !== source);
  saved.sources = saved.sources.filter(({ id }) => id !== source.saved.id);
  around.keep();
  forgetSecret(source.saved.id);
  indexedDB.deleteDatabase(`iot-${source.saved.id}`);
  propose();
  window.location.hash = '';
  view.go();
  around.announce(`${source.name} is removed.`);
}

/** Proposes what the site's owner names and is not there yet. */
function propose() {
  const known = new Set(saved.sources.map(({ url }) => url));
  view.suggested = (config.sources ?? []).filter(({ url }) => !known.has(url))
    .map((source) => ({ ...source, id: '', pins: [], unpinned: [] }));
}

function newId() {
  return [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function token() {
  return secret('token') || config.token || '';
}

/* Adding */

/** @type {Record<string, string>} */
const HINTS = {
  mqtts: 'TLS runs from this page to the broker. Port 8883 unless you name another.',
  mqtt: 'Not encrypted: everyone on the way can read it. Port 1883 unless you name another.',
  wss: "The page's own WebSocket, with the browser's TLS; no relay. Add the path if there is one, such as /mqtt.",
  ws: "The page's own WebSocket, not encrypted; no relay. Add the path if there is one, such as /mqtt.",
  coap: 'Not encrypted. Port 5683 unless you name another.',
  'coap+tcp': 'Not encrypted. Port 5683 unless you name another.',
  'coaps+tcp': 'TLS runs from this page to the device. Port 5684 unless you name another.',
  'coaps+ws': "The page's own WebSocket, with the browser's TLS; no relay.",
  'coap+ws': "The page's own WebSocket, not encrypted; no relay.",
};

/** Which one is edited in the dialog; null while one is added. @type {AnySource | null} */
let changed = null;

/** @param {AnySource | null} [source] */
function showAdd(source = null) {
  changed = source;
  /** @type {HTMLFormElement} */ (/** @type {unknown} */ ($('add-form'))).reset();
  $('add-error').hidden = true;
  $('adding-title').textContent = source ? `Edit ${source.name}` : 'Add broker or device';
  $('add-button').textContent = source ? 'Save' : 'Add';
  field('add-password').placeholder = source && secret(source.saved.id) !== '' ? 'unchanged' : '';
  schemeChanged();
  closeDrawers();
  dialog('adding').showModal();
  field('add-address').focus();
}

/** The same dialog, with what there is. @param {AnySource} source */
function showChange(source) {
  const { saved: known } = source;
  showAdd(source);
  const [scheme = '', address = ''] = known.url.split('://');
  field('add-scheme').value = scheme;
  field('add-address').value = address;
  field('add-name').value = known.name;
  if (source.kind === 'mqtt') {
    field('add-filters').value = (known.filters ?? ['#']).join(' ');
    field('add-qos').value = String(known.qos ?? 1);
    field('add-version').value = known.version ?? '5';
    field('add-username').value = known.username ?? '';
    field('add-remember').checked = known.remember === true;
    field('add-will-topic').value = known.will?.topic ?? '';
    field('add-will-payload').value = known.will?.payload ?? '';
  }
  schemeChanged();
}

/** Begins anew with what was changed. @param {AnySource} old @param {SavedSource} source */
function change(old, source) {
  old.close();
  const elsewhere = old.saved.url !== source.url;
  // What another kind of thing has is not known here.
  if (old.kind !== (source.url.startsWith('coap') ? 'coap' : 'mqtt')) {
    source.pins = [];
    source.unpinned = [];
  }
  if (elsewhere) {
    // The session was another broker's.
    indexedDB.deleteDatabase(`iot-${source.id}`);
  }
  saved.sources = saved.sources.map((known) => (known.id === source.id ? source : known));
  around.keep();
  const at = view.sources.indexOf(old);
  const made = start(source);
  view.sources = view.sources.filter((known) => known !== old && known !== made);
  view.sources.splice(at, 0, made);
  propose();
  view.go();
  around.announce(`${made.name} is changed.`);
}

function schemeChanged() {
  const scheme = field('add-scheme').value;
  $('add-mqtt').hidden = scheme.startsWith('coap');
  const relayed = !direct && !/ws/u.test(scheme);
  const missing = relayed && around.relay === '' ? ' This page needs a relay for it: see Network.' : '';
  $('add-hint').textContent = `${HINTS[scheme]}${missing}`;
  field('add-address').placeholder = scheme.startsWith('coap') ? '192.168.1.20' : 'broker.example.org';
}

/** Whoever pastes a whole address means it. */
function addressChanged() {
  const parts = /^([a-z+]+):\/\/(.*)$/u.exec(field('add-address').value.trim());
  if (parts && parts[1] !== undefined && parts[1] in HINTS) {
    field('add-scheme').value = parts[1];
    field('add-address').value = parts[2] ?? '';
    schemeChanged();
  }
}

$('add').addEventListener('click', () => showAdd());
$('add-scheme').addEventListener('change', schemeChanged);
$('add-address').addEventListener('input', addressChanged);
$('add-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const scheme = field('add-scheme').value;
  const address = field('add-address').value.trim().replace(/\/+$/u, '');
  const url = `${scheme}://${address}`;
  const fault = wrong(scheme, address, url);
  $('add-error').hidden = fault === '';
  $('add-error').textContent = fault;
  if (fault !== '') {
    field('add-address').focus();
    return;
  }
  /** @type {SavedSource} */
  const source = {
    id: changed?.saved.id ?? newId(),
    url,
    name: field('add-name').value.trim(),
    pins: changed?.saved.pins ?? [],
    unpinned: changed?.saved.unpinned ?? [],
  };
  if (!scheme.startsWith('coap')) {
    source.filters = field('add-filters').value.split(/\s+/u).filter(Boolean);
    source.qos = /** @type {0 | 1 | 2} */ (Number(field('add-qos').value));
    source.version = field('add-version').value === '3.1.1' ? '3.1.1' : '5';
    source.username = field('add-username').value.trim();
    source.remember = field('add-remember').checked;
    keepSecret(source.id, field('add-password').value || (changed ? secret(source.id) : ''), source.remember);
    const topic = field('add-will-topic').value.trim();
    if (topic !== '') {
      source.will = { topic, payload: field('add-will-payload').value.trim() || 'offline' };
    }
  }
  dialog('adding').close();
  if (changed) {
    change(changed, source);
  } else {
    window.location.hash = '';
    take(source);
  }
});

/** What is wrong with an address, if anything is. @param {string} scheme @param {string} address @param {string} url */
function wrong(scheme, address, url) {
  if (address === '') {
    return 'Give an address: a name or an IP address, with a port if it is not the usual one.';
  }
  // Chromium takes a space for a part of a name.
  if (/\s/u.test(address) || !URL.canParse(url.replace(/^[a-z+]+:/u, 'http:'))) {
    return `${address} is no address.`;
  }
  if (saved.sources.some((known) => known.url === url && known.id !== changed?.saved.id)) {
    return `${url} is there already.`;
  }
  if (!direct && !/ws/u.test(scheme) && around.relay === '') {
    return "An ordinary page can't open TCP connections or UDP sockets: give the address of a relay, under Network.";
  }
  return '';
}

/* The network */

function showWay() {
  let text = 'no relay';
  if (direct) {
    text = 'Direct Sockets';
  } else if (around.relay !== '') {
    text = `relay ${around.relay.replace(/^wss?:\/\//u, '').replace(/\/$/u, '')}`;
  }
  $('way-text').textContent = text;
  $('way').title = 'How this page reaches the network';
}

$('way').addEventListener('click', () => {
  field('relay').value = around.relay;
  field('token').value = token();
  $('settings-error').hidden = true;
  closeDrawers();
  dialog('settings').showModal();
});

$('settings-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const relay = field('relay').value.trim();
  const former = network;
  try {
    const opened = open({ relay: relay || undefined, token: field('token').value || undefined, roots: config.roots });
    await opened;
    network = opened;
  } catch (error) {
    $('settings-error').textContent = explain(error);
    $('settings-error').hidden = false;
    return;
  }
  around.relay = relay;
  saved.relay = relay;
  keepSecret('token', field('token').value, true);
  around.keep();
  showWay();
  dialog('settings').close();
  view.sources.forEach((source) => source.renew());
  former?.then((old) => old.close(), () => undefined);
});

/* Tiles */

/** @type {import('./saved.js').Pin | undefined} */
let edited;

/** @param {AnySource} source @param {string} key */
function showTile(source, key) {
  edited = source.pin(key);
  $('tile-key').textContent = key;
  field('tile-name').value = edited?.title ?? '';
  field('tile-unit').value = edited?.unit ?? '';
  field('tile-command').value = edited?.command ?? '';
  field('tile-command').placeholder = `${key}/set`;
  $('tile-command-label').hidden = source.kind !== 'mqtt' || source.items.get(key)?.reading?.kind !== 'switch';
  dialog('tile').showModal();
}

$('tile-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (edited) {
    edited.title = field('tile-name').value.trim() || undefined;
    edited.unit = field('tile-unit').value.trim() || undefined;
    edited.command = field('tile-command').value.trim() || undefined;
    around.keep();
  }
  dialog('tile').close();
  view.changed();
});

$('entries').addEventListener('click', (event) => {
  if (/** @type {Element} */ (event.target).closest('a')) {
    closeDrawers();
  }
});

async function begin() {
  try {
    const answer = await fetch('config.json');
    config = answer.ok ? await answer.json() : {};
  } catch {
    // A page without a configuration asks for everything.
    config = {};
  }
  around.relay = saved.relay ?? config.relay ?? '';
  around.ownRoots = config.roots !== undefined;
  $('way').hidden = false;
  showWay();
  propose();
  saved.sources.forEach(start);
  view.go();
}

await begin();
