// @ts-check
/** The error of everything that fails here. What its fields mean: the .d.ts. */

/** @import * as Api from '../index.d.ts' */

export class JackfieldError extends Error {
  /** @param {Api.ErrorKind} kind @param {string} message @param {ErrorOptions} [options] */
  constructor(kind, message, options) {
    super(message, options);
    this.kind = kind;
  }
}

/** As the names of the built-in errors are: found by reading, not among an error's own fields. */
Object.defineProperty(JackfieldError.prototype, 'name', { value: 'JackfieldError' });

/** What a caller passed can't be right. @param {string} message */
export function invalid(message) {
  return new JackfieldError('invalid-input', message);
}
