// @ts-check
/** Messages as they come from the module: many in one crossing. `web/src/mqtt/pack.rs` packs them. */

/**
 * All topics in one string, all payloads in one array, four numbers for each message, and what few have.
 *
 * @typedef {[string, Uint8Array<ArrayBuffer>, Float64Array, { [at: number]: object }?]} Pack
 */

/** The bits beside the QoS. */
const RETAINED = 4;
const DUPLICATE = 8;

/**
 * What each message has.
 *
 * @param {Pack} pack
 */
export function unpacked([topics, payloads, numbers, properties]) {
  const number = (/** @type {number} */ at) => /** @type {number} */ (numbers[at]);
  const time = Date.now();
  const messages = [];
  let topic = 0;
  let payload = 0;
  for (let at = 0; at < numbers.length; at += 4) {
    const topicEnd = topic + number(at);
    const payloadEnd = payload + number(at + 1);
    const bits = number(at + 2);
    const serial = number(at + 3);
    const message = {
      topic: topics.slice(topic, topicEnd),
      // In a buffer of its own, which the page may give away.
      payload: payloads.slice(payload, payloadEnd),
      qos: bits & 3,
      retained: (bits & RETAINED) !== 0,
      duplicate: (bits & DUPLICATE) !== 0,
      serial: serial < 0 ? null : serial,
      userProperties: [],
      time,
    };
    const more = properties?.[at / 4];
    messages.push(more === undefined ? message : Object.assign(message, more));
    topic = topicEnd;
    payload = payloadEnd;
  }
  return messages;
}
