// @ts-check
/**
 * What this browser remembers of the last connection, in localStorage; never a password. A token that was
 * typed is in sessionStorage, which goes with the tab.
 */

/**
 * @typedef {object} Saved
 * @property {string} nick
 * @property {string} account
 * @property {string[]} channels
 * @property {string} server
 * @property {string} port
 * @property {boolean} tls
 * @property {string} relay
 * @property {string} proposed What the site proposed at the time: another server of its own counts more.
 */

const KEY = 'jackfield-irc';
/** How many channels are remembered. */
const MAX_CHANNELS = 100;

/** @returns {Saved | null} */
export function load() {
  try {
    const saved = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    const texts = ['nick', 'account', 'server', 'port', 'relay', 'proposed'];
    const whole = saved && texts.every((name) => typeof saved[name] === 'string') && typeof saved.tls === 'boolean'
      && Array.isArray(saved.channels) && saved.channels.every((/** @type {unknown} */ name) => typeof name === 'string');
    return whole ? saved : null;
  } catch {
    return null;
  }
}

/** @param {Saved} saved */
export function save(saved) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...saved, channels: saved.channels.slice(0, MAX_CHANNELS) }));
  } catch {
    // No room or no permission: it is remembered until the page goes.
  }
}

export function forget() {
  localStorage.removeItem(KEY);
  sessionStorage.removeItem(KEY);
}

export function token() {
  return sessionStorage.getItem(KEY) ?? '';
}

/** @param {string} value */
export function keepToken(value) {
  sessionStorage.setItem(KEY, value);
}
