// @ts-check
/**
 * What callers pass, checked before anything is sent. A wrong name or a wrong type is told by an error
 * that names it; whether a value fits the protocol is seen where the protocol is spoken.
 */

import { invalid } from './error.js';

/**
 * Options, which may be missing.
 *
 * @template {object} T
 * @param {string} what Whose they are, for the error.
 * @param {T | undefined} value
 * @param {readonly string[]} names Those that there are.
 * @returns {T | undefined}
 */
export function options(what, value, names) {
  if (value === undefined) {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`the options of ${what} are ${kindOf(value)}, not an object`);
  }
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) {
      const meant = names.find((known) => isNear(known, name));
      throw invalid(`${what} has no option ${name}${meant ? `; is ${meant} meant?` : ''}`);
    }
  }
  return value;
}

/** A text that has to be there. @param {string} name @param {string} value */
export function text(name, value) {
  if (typeof value !== 'string') {
    throw invalid(`the ${name} is ${kindOf(value)}, not a string`);
  }
  return value;
}

/** A text that may be missing. @param {string} name @param {string | undefined} value */
export function optionalText(name, value) {
  return value === undefined ? undefined : text(name, value);
}

/** Texts that each has to be there. @param {string} name Of one of them. @param {readonly string[]} values */
export function texts(name, values) { return values.map((value) => text(name, value)); }

/** A whole number from 0 on, that may be missing. @param {string} name @param {number | undefined} value */
export function optionalCount(name, value) {
  if (value !== undefined && (!Number.isInteger(value) || value < 0 || value > 0xffffffff)) {
    throw invalid(`the option ${name} is no whole number from 0 to 4294967295`);
  }
  return value;
}

/** An address. @param {string} name @param {string | URL} value */
export function address(name, value) {
  return value instanceof URL ? value.href : text(name, value);
}

/** What a value is, in words. @param {unknown} value */
export function kindOf(value) {
  switch (typeof value) {
    case 'undefined':
      return 'missing';
    case 'object':
      return value === null ? 'null' : `a ${value.constructor?.name ?? 'object'}`;
    default:
      return `a ${typeof value}`;
  }
}

/**
 * Whether two names differ by one letter that is missing, more or another, or by their case.
 *
 * @param {string} known
 * @param {string} given
 */
function isNear(known, given) {
  const [a, b] = [known.toLowerCase(), given.toLowerCase()];
  if (Math.abs(a.length - b.length) > 1) {
    return false;
  }
  let same = 0;
  while (same < a.length && a[same] === b[same]) {
    same += 1;
  }
  const [left, right] = [a.slice(same), b.slice(same)];
  return left.slice(1) === right || left === right.slice(1) || left.slice(1) === right.slice(1);
}
