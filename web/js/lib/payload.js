// @ts-check
/** Bytes that messages and answers carry, in and out. */

import { kindOf } from './check.js';
import { JackfieldError, invalid } from './error.js';

/** @import * as Api from '../index.d.ts' */

/** How long what is read from a stream may become, in bytes: as much as MQTT's longest packet has. */
const MAX_STREAMED = 268_435_455;

/** What stands where there is no payload yet: to make one for each would take longer than all else. */
const NONE = new Uint8Array();

/** What messages and answers have in common. */
export class Payload {
  payload = NONE;

  text() { return new TextDecoder().decode(this.payload); }

  /** @returns {unknown} */
  json() { return JSON.parse(this.text()); }
}

/**
 * The bytes of what a caller passed. What has to be read first comes as a promise; everything else is there
 * at once, so that messages go in the order in which they were passed.
 *
 * @param {Api.Body | undefined} body
 * @returns {Uint8Array | Promise<Uint8Array>}
 */
export function toBytes(body = '') {
  if (typeof body === 'string') {
    return new TextEncoder().encode(body);
  }
  if (ArrayBuffer.isView(body)) {
    return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  }
  if (isA('ArrayBuffer', body)) {
    return new Uint8Array(/** @type {ArrayBuffer} */ (body));
  }
  if (isA('Blob', body) || isA('File', body)) {
    return /** @type {Blob} */ (body).arrayBuffer().then((buffer) => new Uint8Array(buffer));
  }
  if (isA('ReadableStream', body)) {
    return read(/** @type {ReadableStream<Uint8Array>} */ (body));
  }
  const kinds = 'a string, bytes, a Blob or a ReadableStream';
  throw invalid(`the payload is ${kindOf(body)}, not ${kinds}`);
}

/** Whether it is one of these, of whichever window. @param {string} kind @param {unknown} value */
function isA(kind, value) {
  return Object.prototype.toString.call(value) === `[object ${kind}]`;
}

/** @param {ReadableStream<Uint8Array>} stream */
async function read(stream) {
  const reader = stream.getReader();
  /** @type {Uint8Array[]} */
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    if (!(value instanceof Uint8Array)) {
      void reader.cancel().catch(() => undefined);
      throw invalid(`the stream of the payload gives ${kindOf(value)}, not a Uint8Array`);
    }
    length += value.length;
    if (length > MAX_STREAMED) {
      void reader.cancel().catch(() => undefined);
      throw new JackfieldError('limit-exceeded', `the payload has more than ${MAX_STREAMED} bytes`);
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
