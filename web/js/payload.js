// @ts-check
/** Bytes that messages and answers carry, in and out. */

/** @import * as Api from './jackfield.d.ts' */

/** What messages and answers have in common. */
export class Payload {
  payload = new Uint8Array();

  text() { return new TextDecoder().decode(this.payload); }

  /** @returns {unknown} */
  json() { return JSON.parse(this.text()); }
}

/** @param {Api.MqttPayload | undefined} payload */
export function toBytes(payload = '') {
  if (typeof payload === 'string') {
    return new TextEncoder().encode(payload);
  }
  return payload instanceof ArrayBuffer ? new Uint8Array(payload) : payload;
}
