// @ts-check
/** How the bytes travel: the lock, the dialog behind it, and the words for what goes wrong on the way. */

import { explain as told } from '../../jackfield/explain.js';
import { button, definitions, element, icon, setIcon, span } from './dom.js';

/** @import { Security, JackfieldError } from '../../jackfield/index.js' */

/**
 * @typedef {object} Way
 * @property {'direct' | 'relay' | null} kind
 * @property {string} relay
 * @property {string} server
 * @property {'TCP' | 'UDP'} [transport] Default: TCP.
 * @property {boolean} ownRoots Whether the server is verified against roots that came with the page.
 * @property {number | null} lag In milliseconds.
 */

/**
 * The lock: what stands between this page and the server.
 * @param {HTMLElement} lock A button with an icon and a text.
 * @param {Security | null} security Null while there is no connection.
 * @param {string} server
 */
export function drawLock(lock, security, server) {
  const secure = isSecure(security);
  lock.classList.toggle('secure', secure);
  lock.classList.toggle('plain', security !== null && !secure);
  let text = 'not connected';
  if (security) {
    text = secure ? `TLS to ${server}` : 'not encrypted';
  }
  const label = lock.querySelector('span');
  if (label && label.textContent !== text) {
    label.textContent = text;
  }
  lock.title = 'How this page is connected';
  setIcon(lock, secure ? 'lock' : 'unlocked');
}

/** @param {Security | null} security */
export function isSecure(security) {
  return security?.tls !== undefined || security?.webSocket === 'wss';
}

/**
 * Shows how the bytes travel.
 * @param {Security | null} security
 * @param {Way} way
 */
export async function showConnection(security, way) {
  const tls = security?.tls;
  const secure = isSecure(security);
  const relay = way.kind === 'relay' && !security?.webSocket;
  let summary = 'There is no connection now.';
  if (tls) {
    summary = `TLS runs from this page to ${way.server}, whose certificate was verified here.`
      + (relay ? ' The relay in between carries ciphertext only: it could not have read a byte.'
        : ' There is no relay in between.');
  } else if (secure) {
    summary = `The browser speaks TLS with ${way.server}, and has verified its certificate. There is no relay in between.`;
  } else if (security) {
    summary = relay
      ? 'This connection is not encrypted: the relay, and everyone on the way, can read it.'
      : 'This connection is not encrypted: everyone on the way can read it.';
  }

  const path = element(
    'ol',
    secure ? 'path' : 'path plain',
    stop('This page', secure ? 'encrypts, verifies' : 'speaks'),
    ...(relay ? [stop('Relay', secure ? 'sees ciphertext only' : 'can read everything')] : []),
    stop('Server', way.server),
  );

  /** @type {[string, string][]} */
  const facts = [['Way', travels(security, way, relay)]];
  if (tls) {
    facts.push(
      ['Protocol', tls.version],
      ['Cipher suite', tls.cipherSuite],
      ['Verified against', way.ownRoots ? 'the roots that came with this page' : "Mozilla's list of roots"],
      ['Certificate', await fingerprint(tls.certificate)],
    );
  }
  if (security?.peer) {
    facts.push(['Address', security.peer]);
  }
  if (way.lag !== null) {
    facts.push(['Round trip', `${Math.round(way.lag)} ms`]);
  }

  const dialog = element('dialog', 'card');
  dialog.id = 'connection';
  const title = element('h2', '', 'Connection');
  title.id = 'connection-title';
  dialog.setAttribute('aria-labelledby', title.id);
  const close = button('icon', () => dialog.close(), icon('close'));
  close.setAttribute('aria-label', 'Close');
  const told = element('p', '', summary);
  told.id = 'connection-summary';
  const list = element('dl', '', ...definitions(facts));
  list.id = 'connection-facts';
  dialog.append(element('header', '', title, close), told, path, list);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * What went wrong, what to do about it, and what exactly was said.
 * @param {unknown} error
 * @param {string} [ports] Which ones are usual.
 */
export function explain(error, ports = '') {
  const { where, message } = /** @type {JackfieldError} */ (error);
  const advice = told(error);
  const said = sentence(message ?? String(error));
  const parts = advice === said ? [said] : [advice, said];
  if (ports !== '' && where === 'server' && advice.includes('the port')) {
    parts.push(`Port ${ports}.`);
  }
  return parts.join(' ');
}

/** Makes the errors' style, lower case and no full stop, a sentence. @param {string} message */
export function sentence(message) {
  return told({ message });
}

/** @param {Security | null} security @param {Way} way @param {boolean} relay */
function travels(security, way, relay) {
  if (security?.webSocket) {
    return "The page's own WebSocket, straight to the server";
  }
  const { transport = 'TCP' } = way;
  return relay ? `${transport}, carried by WebSocket to ${way.relay}` : `${transport}, by the browser's Direct Sockets`;
}

/** @param {string} name @param {string} note */
function stop(name, note) {
  return element('li', '', element('strong', '', name), span('muted', note));
}

/** @param {Uint8Array<ArrayBuffer>} certificate */
async function fingerprint(certificate) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', certificate));
  const hex = [...digest].map((byte) => byte.toString(16).padStart(2, '0'));
  return `SHA-256 ${hex.join(':')}`;
}
