// @ts-check
/**
 * What a payload says. MQTT leaves that to whoever publishes, and CoAP says little more than JSON or
 * text, so that it is read as people write it: a number, a word of a pair such as `on` and `off`,
 * JSON with a `value` or a `state`, SenML (RFC 8428), any other text.
 */

/**
 * @typedef {object} Reading
 * @property {'number' | 'switch' | 'presence' | 'text' | 'binary' | 'empty'} kind
 * @property {string} text For people.
 * @property {number} [number]
 * @property {boolean} [on] Of a switch, and of a presence.
 * @property {(on: boolean) => string} [command] What sets a switch, in the words it speaks itself.
 * @property {string} [unit]
 * @property {number} [time] When it was measured, in milliseconds since 1970, if it says so.
 */

/** Words that mean on and off; the case is the payload's. @type {[string, string][]} */
const PAIRS = [['on', 'off'], ['true', 'false'], ['locked', 'unlocked']];
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/iu;
/** Units of SenML that people write in another way. @type {Record<string, string>} */
const UNITS = { Cel: '°C', '%RH': '%', lx: 'lx', W: 'W' };
const LONGEST_TEXT = 400;
/** What is told of an object's fields: so many, so deep, of a payload so large, in bytes. */
const MAX_FIELDS = 50;
const MAX_DEPTH = 4;
const MAX_FIELDS_PAYLOAD = 65_536;

/**
 * @param {Uint8Array} payload
 * @param {{ actuator?: boolean }} [how] `actuator`: 1 and 0 are on and off.
 * @returns {Reading}
 */
export function read(payload, { actuator = false } = {}) {
  if (payload.length === 0) {
    return { kind: 'empty', text: '' };
  }
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
  } catch {
    return { kind: 'binary', text: `${bytes(payload.length)} of data` };
  }
  const trimmed = text.trim();
  if (/^[[{]/u.test(trimmed)) {
    return json(trimmed, actuator) ?? words(trimmed, actuator);
  }
  return words(trimmed, actuator);
}

/**
 * The fields of a payload that is an object of JSON: their paths (`battery.level`), and what they say.
 * @param {Uint8Array} payload
 * @returns {Map<string, Reading>}
 */
export function fields(payload) {
  /** @type {Map<string, Reading>} */
  const found = new Map();
  let value = null;
  if (payload[0] === 0x7b && payload.length <= MAX_FIELDS_PAYLOAD) {
    try {
      value = JSON.parse(new TextDecoder().decode(payload));
    } catch {
      // No JSON, so that there are none.
    }
  }
  walk(value, [], found);
  return found;
}

/** @param {unknown} value @param {string[]} path @param {Map<string, Reading>} found */
function walk(value, path, found) {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (path.length < MAX_DEPTH) {
        walk(inner, [...path, name], found);
      }
    }
  } else if (path.length > 0 && value !== null && value !== undefined && found.size < MAX_FIELDS) {
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    const reading = words(text, false);
    const { command } = reading;
    // What sets a field sets it alone, in the payload's own words and types.
    const nested = (/** @type {string} */ word) =>
      path.reduceRight((/** @type {unknown} */ inner, name) => ({ [name]: inner }), typeof value === 'boolean' ? word === 'true' : word);
    found.set(path.join('.'), { ...reading, command: command && ((on) => JSON.stringify(nested(command(on)))) });
  }
}

/** @param {string} text @returns {Reading} */
function plain(text) {
  return { kind: 'text', text: text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text };
}

/** @param {string} text @param {boolean} actuator @returns {Reading} */
function words(text, actuator) {
  if (actuator && /^[01]$/u.test(text)) {
    return { kind: 'switch', text: text === '1' ? 'on' : 'off', on: text === '1', command: (on) => (on ? '1' : '0') };
  }
  if (NUMBER.test(text)) {
    const number = Number(text);
    return { kind: 'number', number, text: figure(number) };
  }
  const word = text.toLowerCase();
  if (word === 'online' || word === 'offline') {
    return { kind: 'presence', text: word, on: word === 'online' };
  }
  const pair = PAIRS.find((known) => known.includes(word));
  if (pair) {
    const cased = (/** @type {string} */ spoken) => {
      if (text === text.toUpperCase()) {
        return spoken.toUpperCase();
      }
      return text[0] === word[0] ? spoken : spoken[0]?.toUpperCase() + spoken.slice(1);
    };
    return { kind: 'switch', text: word, on: word === pair[0], command: (on) => cased(on ? pair[0] : pair[1]) };
  }
  return plain(text);
}

/** @param {string} text @param {boolean} actuator @returns {Reading | null} */
function json(text, actuator) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (Array.isArray(value)) {
    return senml(value);
  }
  const time = moment(value.time ?? value.timestamp);
  if (typeof value.value === 'number') {
    const unit = typeof value.unit === 'string' ? value.unit : undefined;
    return { kind: 'number', number: value.value, text: figure(value.value), unit, time };
  }
  if (typeof value.state === 'string') {
    const state = words(value.state, actuator);
    const { command } = state;
    if (state.kind !== 'number') {
      return { ...state, time, command: command && ((on) => JSON.stringify({ state: command(on) })) };
    }
  }
  return null;
}

/** The first record of a SenML pack. @param {any[]} pack @returns {Reading | null} */
function senml(pack) {
  const record = pack[0];
  if (typeof record?.v !== 'number') {
    return null;
  }
  const number = record.v + (typeof record.bv === 'number' ? record.bv : 0);
  const unit = record.u ?? record.bu;
  const seconds = (record.bt ?? 0) + (record.t ?? 0);
  return {
    kind: 'number',
    number,
    text: figure(number),
    unit: typeof unit === 'string' ? UNITS[unit] ?? unit : undefined,
    // Smaller ones are relative to now (RFC 8428, section 4.5.3).
    time: seconds >= 2 ** 28 ? seconds * 1000 : undefined,
  };
}

/** @param {unknown} time Milliseconds or seconds since 1970, or a date. */
function moment(time) {
  if (typeof time === 'number' && time > 0) {
    return time < 1e11 ? time * 1000 : time;
  }
  const parsed = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
}

const round = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 5 });
/** For numbers that are too long for a tile otherwise. */
const scientific = new Intl.NumberFormat(undefined, { notation: 'scientific', maximumSignificantDigits: 5 });
const sizes = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

/** @param {number} number */
export function figure(number) {
  const size = Math.abs(number);
  return (size >= 1e9 || size > 0 && size < 1e-4 ? scientific : round).format(number);
}

/** @param {number} count */
export function bytes(count) {
  if (count < 1000) {
    return `${count} bytes`;
  }
  return count < 1e6 ? `${sizes.format(count / 1e3)} kB` : `${sizes.format(count / 1e6)} MB`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

/** @param {number} time */
export function atClock(time) {
  return clock.format(time);
}

const minute = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

/**
 * Since when a value stands that was kept for those who come later. When it was published is not told; only
 * that it was before it came, unless it says itself when it was measured.
 * @param {number} time
 * @param {boolean} measured
 */
export function since(time, measured) {
  const date = new Date(time).toDateString() === new Date().toDateString() ? '' : `${day.format(time)}, `;
  return `since ${measured ? '' : 'before '}${date}${minute.format(time)}`;
}

/** How long ago that was. @param {number} time */
export function ago(time) {
  const seconds = Math.max(0, Math.round((Date.now() - time) / 1000));
  if (seconds < 2) {
    return 'now';
  }
  if (seconds < 60) {
    return `${seconds} s ago`;
  }
  return seconds < 3600 ? `${Math.round(seconds / 60)} min ago` : clock.format(time);
}
