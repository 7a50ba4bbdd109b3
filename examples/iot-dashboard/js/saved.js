// @ts-check
/**
 * What this browser remembers: brokers, devices and tiles in localStorage; passwords and the relay's
 * token there only if that is wished, else in sessionStorage, which goes with the tab.
 */

/** @import { MqttOptions } from '../jackfield/iot.js' */

/**
 * @typedef {object} Pin A tile.
 * @property {string} key The topic, or the path.
 * @property {string} [title]
 * @property {string} [unit]
 * @property {string} [command] Where a switch publishes.
 */

/**
 * @typedef {object} SavedSource
 * @property {string} id
 * @property {string} url
 * @property {string} name
 * @property {Pin[]} pins
 * @property {string[]} unpinned What was taken off by hand, and is not put there again by itself.
 * @property {string[]} [filters]
 * @property {0 | 1 | 2} [qos]
 * @property {MqttOptions['version']} [version]
 * @property {string} [username]
 * @property {boolean} [remember]
 * @property {{ topic: string, payload: string }} [will]
 */

const KEY = 'jackfield-iot';

/** @typedef {{ sources: SavedSource[], relay?: string }} Saved */

/** @returns {Saved} */
export function load() {
  try {
    const saved = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    const sources = (Array.isArray(saved.sources) ? saved.sources : []).filter(isSource);
    return { sources, relay: typeof saved.relay === 'string' ? saved.relay : undefined };
  } catch {
    return { sources: [] };
  }
}

/** @param {Saved} saved */
export function save(saved) {
  try {
    localStorage.setItem(KEY, JSON.stringify(saved));
  } catch {
    // No room or no permission: it is remembered until the page goes.
  }
}

/** @param {string} name */
export function secret(name) {
  return sessionStorage.getItem(`${KEY}-${name}`) ?? localStorage.getItem(`${KEY}-${name}`) ?? '';
}

/** @param {string} name @param {string} value @param {boolean} remember */
export function keepSecret(name, value, remember) {
  sessionStorage.setItem(`${KEY}-${name}`, value);
  if (remember && value !== '') {
    localStorage.setItem(`${KEY}-${name}`, value);
  } else {
    localStorage.removeItem(`${KEY}-${name}`);
  }
}

/** @param {string} name */
export function forgetSecret(name) {
  sessionStorage.removeItem(`${KEY}-${name}`);
  localStorage.removeItem(`${KEY}-${name}`);
}

/** @param {any} source */
function isSource(source) {
  return typeof source?.id === 'string' && typeof source.url === 'string' && typeof source.name === 'string'
    && Array.isArray(source.pins) && Array.isArray(source.unpinned);
}
