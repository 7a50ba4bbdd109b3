// @ts-check
/** The error of everything that fails here. What its fields mean: common.d.ts. */

/** @import * as Api from '../index.d.ts' */

/** What a server does, or the network before it, unless something else is said. @type {readonly Api.ErrorKind[]} */
const SERVERS = [
  'host-not-found',
  'refused',
  'unreachable',
  'timed-out',
  'reset',
  'unexpected-eof',
  'certificate',
  'tls-refused',
  'protocol',
  'nickname',
  'authentication',
  'not-found',
  'outcome-unknown',
];

export class JackfieldError extends Error {
  /** @param {Api.ErrorKind} kind @param {string} message @param {Api.JackfieldErrorOptions} [options] */
  constructor(kind, message, options = {}) {
    const { where, ...others } = options;
    super(message, others);
    this.kind = kind;
    this.where = where ?? (SERVERS.includes(kind) ? 'server' : 'page');
  }
}

/** As the names of the built-in errors are: found by reading, not among an error's own fields. */
Object.defineProperty(JackfieldError.prototype, 'name', { value: 'JackfieldError' });

/** What a caller passed can't be right. @param {string} message */
export function invalid(message) {
  return new JackfieldError('invalid-input', message);
}

/**
 * What the module's errors are made by.
 *
 * @param {Api.ErrorKind} kind
 * @param {string} message
 * @param {Api.JackfieldError['where']} [where]
 * @param {Error} [cause]
 */
export function made(kind, message, where, cause) {
  return new JackfieldError(kind, message, { where, ...(cause && { cause }) });
}
