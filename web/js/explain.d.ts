/**
 * What a person is told of an error.
 *
 * ```js
 * import { open } from 'jackfield/mqtt';
 * import { explain } from 'jackfield/explain';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * try {
 *   const broker = await network.mqtt('mqtts://elsewhere.example.org', { reconnect: false });
 *   await broker.connected;
 * } catch (error) {
 *   console.log(explain(error));
 * }
 * ```
 */

/**
 * What went wrong and what a person can do about it, as one or two sentences in English; by `relayCode`, else by
 * `where` and `kind`. Where these don't tell (what a server has refused, say, or a fault of the page), it is the
 * error's own message, made a sentence; so it is of an error of another kind. It shows no secret, and it is text: what
 * a server said may be in it.
 */
export function explain(error: unknown): string;
