// @ts-check
/**
 * Errors as Chromium's sockets have them. What Jackfield knows of the cause stands in `cause`, which Chromium's
 * lack.
 */

/** @import { JackfieldError } from '../error.js' */

/** What an opening fails with, of the kinds of {@link JackfieldError}. @type {Record<string, [string, string]>} */
const OPENING = {
  'address-not-available': ['DataError', 'The address is not valid.'],
  denied: ['InvalidAccessError', 'Access to the requested host or port is blocked.'],
  'host-not-found': ['NetworkError', "Hostname couldn't be resolved."],
  unsupported: ['NotSupportedError', 'This operation is not supported on the current platform.'],
};

/** What a stream fails with: Chromium's names of network errors. @type {Record<string, string>} */
const STREAM = {
  closed: 'ERR_CONNECTION_ABORTED',
  denied: 'ERR_ACCESS_DENIED',
  'host-not-found': 'ERR_NAME_NOT_RESOLVED',
  'invalid-input': 'ERR_INVALID_ARGUMENT',
  'limit-exceeded': 'ERR_INSUFFICIENT_RESOURCES',
  reset: 'ERR_CONNECTION_RESET',
  'timed-out': 'ERR_CONNECTION_TIMED_OUT',
  'unexpected-eof': 'ERR_CONNECTION_ABORTED',
  unsupported: 'ERR_NOT_IMPLEMENTED',
};

/** @param {string} name @param {string} message @param {unknown} [cause] */
export function exception(name, message, cause) {
  const error = new DOMException(message, name);
  if (cause !== undefined) {
    Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true });
  }
  return error;
}

/** Why a socket could not be opened. @param {unknown} cause */
export function opening(cause) {
  const [name, message] = OPENING[kindOf(cause)] ?? ['NetworkError', 'Network Error.'];
  return exception(name, message, cause);
}

/** What no look-up finds. */
export function unresolved() {
  return exception('NetworkError', "Hostname couldn't be resolved.");
}

/** Why a stream ended early. @param {unknown} cause */
export function aborted(cause) {
  return abortedBy(STREAM[kindOf(cause)] ?? 'ERR_FAILED', cause);
}

/** A stream that this network error ended. @param {string} name @param {unknown} [cause] */
export function abortedBy(name, cause) {
  return exception('NetworkError', `Stream aborted by the remote: net::${name}`, cause);
}

/** What can't be done now. @param {string} at @param {string} what */
export function invalidState(at, what) {
  return exception('InvalidStateError', `${at}${what}`);
}

/** @param {unknown} cause */
function kindOf(cause) {
  return String(/** @type {Partial<JackfieldError> | undefined} */ (cause)?.kind);
}
