// @ts-check
/**
 * Conversion of what a page passes, as Web IDL has it, with Chromium's words where it can't be converted.
 *
 * `at` says where the value stands: it is what such an error begins with.
 */

/** An error of what a page passed. @param {string} at @param {string} what */
export function wrong(at, what) {
  return new TypeError(`${at}${what}`);
}

/** Checks how many arguments there are. @param {string} at @param {number} given @param {number} needed */
export function enough(at, given, needed) {
  if (given < needed) {
    throw wrong(at, `${needed} argument${needed === 1 ? '' : 's'} required, but only ${given} present.`);
  }
}

/** A `DOMString`. @param {string} at @param {unknown} value */
export function domString(at, value) {
  if (typeof value === 'symbol') {
    throw wrong(at, 'Cannot convert a Symbol value to a string');
  }
  return String(value);
}

/** @param {string} at @param {unknown} value */
function number(at, value) {
  if (typeof value === 'symbol' || typeof value === 'bigint') {
    throw wrong(at, `Cannot convert a ${typeof value === 'symbol' ? 'Symbol' : 'BigInt'} value to a number`);
  }
  return Number(value);
}

/** An `unsigned short`: what is too large or too small is wrapped. @param {string} at @param {unknown} value */
export function port(at, value) {
  const given = number(at, value);
  return Number.isFinite(given) ? ((Math.trunc(given) % 0x1_0000) + 0x1_0000) % 0x1_0000 : 0;
}

/** How many values there are of a type. */
const VALUES = { octet: 0x100, 'unsigned short': 0x1_0000, 'unsigned long': 0x1_0000_0000 };

/**
 * A number with `[EnforceRange]`: what doesn't fit is an error.
 *
 * @param {keyof typeof VALUES} type
 * @returns {(at: string, value: unknown) => number}
 */
export function within(type) {
  return (at, value) => {
    const given = number(at, value);
    if (Number.isNaN(given)) {
      throw wrong(at, `Value is not of type '${type}'.`);
    }
    if (!Number.isFinite(given)) {
      throw wrong(at, `Value is infinite and not of type '${type}'.`);
    }
    const whole = Math.trunc(given);
    if (whole < 0 || whole >= VALUES[type]) {
      throw wrong(at, `Value is outside the '${type}' value range.`);
    }
    // -0 is 0.
    return whole + 0;
  };
}

/** A `boolean`. @param {string} _at @param {unknown} value */
export function boolean(_at, value) {
  return Boolean(value);
}

/** A `SocketDnsQueryType`. @param {string} at @param {unknown} value @returns {'ipv4' | 'ipv6'} */
export function dnsQueryType(at, value) {
  const given = domString(at, value);
  if (given !== 'ipv4' && given !== 'ipv6') {
    throw wrong(at, `The provided value '${given}' is not a valid enum value of type SocketDnsQueryType.`);
  }
  return given;
}

/** The bytes of a `BufferSource`, not copied. @param {string} at @param {unknown} value */
export function bytes(at, value) {
  if (ArrayBuffer.isView(value)) {
    if (isA('SharedArrayBuffer', value.buffer)) {
      throw wrong(at, 'The provided ArrayBufferView value must not be shared.');
    }
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (isA('ArrayBuffer', value)) {
    return new Uint8Array(/** @type {ArrayBuffer} */ (value));
  }
  throw wrong(at, "The provided value is not of type '(ArrayBuffer or ArrayBufferView)'.");
}

/** Whether it is one of these, of whichever window. @param {string} kind @param {unknown} value */
function isA(kind, value) {
  return Object.prototype.toString.call(value) === `[object ${kind}]`;
}

/**
 * A dictionary: each member that is there, converted.
 *
 * @template {Record<string, (at: string, value: any) => any>} T
 * @param {string} at
 * @param {unknown} value
 * @param {string} name The dictionary's.
 * @param {T} members In the order in which they are read.
 * @param {Partial<Record<keyof T, string>>} [inherited] The dictionary that a member is of, where it is another.
 * @returns {{ [K in keyof T]?: ReturnType<T[K]> }}
 */
export function dictionary(at, value, name, members, inherited = {}) {
  if (value === undefined || value === null) {
    return {};
  }
  if (typeof value !== 'object' && typeof value !== 'function') {
    throw wrong(at, `The provided value is not of type '${name}'.`);
  }
  /** @type {Record<string, unknown>} */
  const converted = {};
  for (const [member, convert] of Object.entries(members)) {
    const given = /** @type {Record<string, unknown>} */ (value)[member];
    if (given !== undefined) {
      const of = inherited[member] ?? name;
      converted[member] = convert(`${at}Failed to read the '${member}' property from '${of}': `, given);
    }
  }
  return /** @type {any} */ (converted);
}

/**
 * Gives a class the shape of an interface: its name, whatever a minifier made of it, and members that can be
 * enumerated.
 *
 * @param {Function} made
 * @param {string} name
 */
export function shape(made, name) {
  Object.defineProperty(made, 'name', { value: name, configurable: true });
  Object.defineProperty(made.prototype, Symbol.toStringTag, { value: name, configurable: true });
  for (const member of Object.getOwnPropertyNames(made.prototype)) {
    if (member !== 'constructor') {
      Object.defineProperty(made.prototype, member, { enumerable: true });
    }
  }
}
