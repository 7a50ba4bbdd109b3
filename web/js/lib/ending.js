// @ts-check
/**
 * How clients and what they give end: in order, or by an error that everything of theirs fails with from then
 * on.
 */

/**
 * A module's client, as far as this goes.
 *
 * @typedef {object} Endable
 * @property {() => any} failure Why it has ended; undefined while it has not, or where it was in order.
 * @property {() => any} lostAt At whose place the last connection was lost; undefined while there is one.
 */

/** What a request is told that was lost with its connection. */
const LOST = ['reset', 'outcome-unknown'];

/**
 * What was asked of a client; where it has ended by an error, that is what it fails with, since it says
 * more than that the client is closed. What was lost with its connection says where that was lost.
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
    const failed = /** @type {{ kind?: string, where?: string }} */ (error);
    const { kind = '' } = failed;
    if (LOST.includes(kind)) {
      failed.where = client.lostAt() ?? failed.where;
    }
    throw (kind === 'closed' && client.failure()) || error;
  }
}

/** What `await using` calls, also where the browser doesn't know it yet. @type {typeof Symbol.asyncDispose} */
export const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
