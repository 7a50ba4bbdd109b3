// @ts-check
/**
 * How clients and what they give end: in order, or by an error that everything of theirs fails with from then
 * on; and what becomes of them where a loop over them is left.
 */

/**
 * A module's client, as far as this goes.
 *
 * @typedef {object} Endable
 * @property {() => any} failure Why it has ended; undefined while it has not, or where it was in order.
 */

/**
 * What was asked of a client; where it has ended by an error, that is what it fails with, since it says
 * more than that the client is closed.
 *
 * @template T
 * @param {Endable} client
 * @param {Promise<T>} asked
 * @returns {Promise<T>}
 */
export async function settled(client, asked) {
  try {
    return await asked;
  } catch (error) {
    const { kind } = /** @type {{ kind?: string }} */ (error);
    throw (kind === 'closed' && client.failure()) || error;
  }
}

/**
 * All that a source gives, one by one, to its end. Whoever leaves the loop, and whoever comes to its end, has
 * done with it: it is left.
 *
 * @template T
 * @param {{ next(): Promise<T | null> }} source
 * @param {() => void} [leave]
 * @returns {AsyncGenerator<T, void, undefined>}
 */
export async function* each(source, leave = () => undefined) {
  try {
    for (;;) {
      const value = await source.next();
      if (value === null) {
        return;
      }
      yield value;
    }
  } finally {
    leave();
  }
}

/** What `await using` calls, also where the browser doesn't know it yet. @type {typeof Symbol.asyncDispose} */
export const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
