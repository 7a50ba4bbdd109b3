// @ts-check
/** The dialog that says how the bytes travel, and the words for what goes wrong on the way. */

import { $, span } from './view.js';

/** @import { Security, JackfieldError } from '../jackfield/jackfield.js' */

/**
 * @typedef {object} Way
 * @property {'direct' | 'relay'} kind
 * @property {string} relay
 * @property {string} server
 * @property {boolean} ownRoots Whether the server is verified against roots that came with the page.
 * @property {number | null} lag In milliseconds.
 */

/**
 * Shows how the bytes travel.
 * @param {Security | null} security
 * @param {Way} way
 */
export async function showConnection(security, way) {
  const secure = security?.tls;
  const relay = way.kind === 'relay';
  let summary = 'There is no connection now.';
  if (secure) {
    summary = `TLS runs from this page to ${way.server}, whose certificate was verified here.`
      + (relay ? ' The relay in between carries ciphertext only: it could not have read a byte.'
        : ' There is no relay in between.');
  } else if (security) {
    summary = relay
      ? 'This connection is not encrypted: the relay, and everyone on the way, can read it.'
      : 'This connection is not encrypted: everyone on the way can read it.';
  }
  $('connection-summary').textContent = summary;

  const path = $('connection-path');
  path.classList.toggle('plain', !secure);
  path.replaceChildren(
    stop('This page', secure ? 'encrypts, verifies' : 'speaks'),
    ...(relay ? [stop('Relay', secure ? 'sees ciphertext only' : 'can read everything')] : []),
    stop('Server', way.server),
  );

  /** @type {[string, string][]} */
  const facts = [['Way', relay ? `WebSocket to ${way.relay}` : "TCP, by the browser's Direct Sockets"]];
  if (secure) {
    facts.push(
      ['Protocol', secure.version],
      ['Cipher suite', secure.cipherSuite],
      ['Verified against', way.ownRoots ? 'the roots that came with this page' : "Mozilla's list of roots"],
      ['Certificate', await fingerprint(secure.certificate)],
    );
  }
  if (security?.peer) {
    facts.push(['Address', security.peer]);
  }
  if (way.lag !== null) {
    facts.push(['Round trip', `${Math.round(way.lag)} ms`]);
  }
  $('connection-facts').replaceChildren(...facts.flatMap(([name, value]) => {
    const term = document.createElement('dt');
    const fact = document.createElement('dd');
    term.textContent = name;
    fact.textContent = value;
    return [term, fact];
  }));
  /** @type {HTMLDialogElement} */ (/** @type {unknown} */ ($('connection'))).showModal();
}

/**
 * What went wrong, and what to do about it.
 * @param {unknown} error
 * @param {{ server: string, relay: string }} way
 */
export function explain(error, way) {
  const { kind, message } = /** @type {JackfieldError} */ (error);
  const said = sentence(message ?? String(error));
  switch (kind) {
    case 'certificate':
      return `The certificate of ${way.server} was refused, so nothing was sent. ${said} Check the name of the `
        + 'server; if it makes its own certificates, its root has to be given to this page.';
    case 'denied':
      return `${said} The relay's owner decides whom it serves and where it connects: check the token, this page's `
        + 'address in its list of origins, and its rules for this server.';
    case 'authentication':
      return `The server did not accept the account or its password. ${said}`;
    case 'nickname':
      return `${said} Choose another nickname.`;
    case 'host-not-found':
      return `There is no server of the name ${way.server}. ${said}`;
    case 'refused':
      return `Nothing answers at ${way.server}. ${said} Check the port: 6697 is usual with TLS, 6667 without.`;
    case 'timed-out':
    case 'unreachable':
      return `${way.server} does not answer. ${said}`;
    default:
      return said;
  }
}

/** Makes the errors' style, lower case and no full stop, a sentence. @param {string} text */
export function sentence(text) {
  const trimmed = text.trim();
  if (trimmed === '') {
    return '';
  }
  return trimmed[0]?.toUpperCase() + trimmed.slice(1) + (/[.!?]$/u.test(trimmed) ? '' : '.');
}

/** @param {string} name @param {string} note */
function stop(name, note) {
  const item = document.createElement('li');
  const strong = document.createElement('strong');
  strong.textContent = name;
  item.append(strong, span('muted', note));
  return item;
}

/** @param {Uint8Array<ArrayBuffer>} certificate */
async function fingerprint(certificate) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', certificate));
  const hex = [...digest].map((byte) => byte.toString(16).padStart(2, '0'));
  return `SHA-256 ${hex.join(':')}`;
}
