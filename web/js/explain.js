// @ts-check
/** What a person is told of an error: explain.d.ts. docs/errors.md has the same sentences, and when each comes. */

/** @import { ErrorKind, RelayCode } from './common.js' */

const NO_RELAY = "What answers at the relay's address is no relay. Check the address.";
const NOT_REACHED = "The relay can't be reached. Check your connection and the relay's address.";
const BUSY = 'The relay is busy. Try again in a while.';
const LOST = 'The connection to the relay was lost. It is made again by itself.';
const SILENT = 'The server does not answer. Try later, or check the port.';
const HUNG_UP = 'The server hung up without a word. Try later; it may not want this client.';
const OTHER_PROTOCOL = "The server speaks another protocol at this port. Check the port and the address's scheme.";

/** What the relay has said itself. @type {Record<RelayCode, string>} */
const CODES = {
  'policy': 'The relay is not allowed to reach this server. Its owner can allow it.',
  'limit': BUSY,
  'going-away': LOST,
  'origin-refused': 'The relay does not serve pages from this site. Its owner can allow it.',
  'host-unknown': 'The relay does not go by this name. Check its address, or ask its owner.',
  'path-unknown': NO_RELAY,
  'token-missing': 'The relay asks for a token. Sign in, or ask its owner for one.',
  'token-unknown': 'The relay does not accept this token. Check it, or ask its owner for another.',
  'token-expired': 'Your access to the relay has expired. Sign in again.',
  'relay-full': BUSY,
  'token-full': 'Too many pages use this token at once. Close some, and try again.',
};

/** By the place and the kind. @type {Record<string, { [kind in ErrorKind]?: string }>} */
const KINDS = {
  page: {
    'unsupported': 'This page needs a relay to reach the server, and has none.',
    'denied': 'The browser does not let this page do that. Look at the permissions of this site.',
    'timed-out': 'It has taken too long, and was given up.',
    'storage': "The browser can't keep what has to be kept. Make room, or leave private browsing.",
    'in-use': 'It is open in another tab of this browser, and only one can have it. Close the other one.',
  },
  policy: {
    'denied': 'The rules of this page do not allow that. Whoever runs it can change them.',
  },
  relay: {
    'unreachable': NOT_REACHED,
    'timed-out': NOT_REACHED,
    'protocol': NO_RELAY,
    'limit-exceeded': BUSY,
    'reset': LOST,
  },
  server: {
    'host-not-found': 'There is no server of this name. Check how it is spelt.',
    'refused': 'The server is there, but not this service. Check the port, or try later.',
    'unreachable': SILENT,
    'timed-out': SILENT,
    'reset': HUNG_UP,
    'unexpected-eof': HUNG_UP,
    'certificate': "The server can't prove who it is. Do not go on unless you know its certificate.",
    'tls-refused': OTHER_PROTOCOL,
    'protocol': OTHER_PROTOCOL,
    'authentication': 'The server does not accept this name and password.',
    'nickname': 'The server does not accept this nickname. Choose another.',
    'outcome-unknown': 'Nobody can tell whether it was sent. Look before you send it again.',
  },
};

/** @param {unknown} error */
export function explain(error) {
  const { kind, where, relayCode, message } = Object(error);
  const said = sentence(String(message ?? error));
  // Of what the page needs and has not, only the message knows what it is; as of a refusal, what it is about.
  const isRefusal = kind === 'refused' && said.startsWith('Refused: ');
  const isOther = kind === 'unsupported' && !said.includes('no relay was given');
  if (isRefusal || isOther) {
    return said;
  }
  // Whatever the relay said as it went, the next attempt may go well.
  if (kind === 'reset' && where === 'relay') {
    return LOST;
  }
  return CODES[/** @type {RelayCode} */ (relayCode)] ?? KINDS[where]?.[/** @type {ErrorKind} */ (kind)] ?? said;
}

/** Makes a sentence of an error's text, which is lower case and has no full stop. @param {string} text */
function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$|^$/u.test(trimmed) ? '' : '.');
}
