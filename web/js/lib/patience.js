// @ts-check
/** How long a page waits for something: until it aborts a signal, or until a time is over. */

import { kindOf } from './check.js';
import { JackfieldError, invalid } from './error.js';

/** @import * as Api from '../common.d.ts' */

/** What `WaitOptions` has: what every method has that waits. */
export const WAIT = ['signal', 'timeout'];

/** What browsers take as a delay, in milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/**
 * Whether the options are right. A signal may be another window's.
 *
 * @param {Api.WaitOptions} options
 */
export function checkWaiting({ signal, timeout }) {
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw invalid(`the option signal is ${kindOf(signal)}, not an AbortSignal`);
  }
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout >= 0 && timeout <= MAX_TIMEOUT)) {
    throw invalid(`the option timeout is no number from 0 to ${MAX_TIMEOUT}`);
  }
}

/**
 * Whether one may begin to wait: the options are right, and the signal is not aborted.
 *
 * @param {Api.WaitOptions | undefined} options
 */
export function mayWait(options) {
  checkWaiting(options ?? {});
  options?.signal?.throwIfAborted();
}

/** What is told where the page's own time is over. @param {number} timeout */
export function late(timeout) {
  return new JackfieldError('timed-out', `it was not done within ${timeout} ms`, { where: 'page' });
}

/**
 * Does something until the page gives it up; then it fails with the signal's reason, or as `timed-out`. What it does
 * may go on all the same, unless it heeds the promise that it takes, which fails then.
 *
 * @template T
 * @param {Api.WaitOptions | undefined} options
 * @param {(aborted: Promise<never> | undefined) => Promise<T>} run Is called at once.
 * @returns {Promise<T>}
 */
export async function patiently(options, run) {
  mayWait(options);
  const { signal, timeout } = options ?? {};
  if (signal === undefined && timeout === undefined) {
    return run(undefined);
  }
  /** @type {(reason: unknown) => void} */
  let giveUp = () => undefined;
  /** @type {Promise<never>} */
  const aborted = new Promise((_, reject) => {
    giveUp = reject;
  });
  aborted.catch(() => undefined);
  const onAbort = () => giveUp(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = timeout === undefined ? undefined : setTimeout(() => giveUp(late(timeout)), timeout);
  try {
    return await Promise.race([run(aborted), aborted]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
