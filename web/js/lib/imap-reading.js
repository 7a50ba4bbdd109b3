// @ts-check
/** The text of a message, or of a part of it, as it comes: imap.d.ts. */

import { invalid } from './error.js';

/** @import * as Api from '../imap.d.ts' */

/** What a page may show under its own origin without a script in it being run. */
const HARMLESS = /^(?:image\/(?!svg)[\w.+-]+|audio\/[\w.+-]+|video\/[\w.+-]+|text\/plain)$/;

/** @implements {Api.ImapBody} */
export class Reading {
  #asker;
  #reading;
  #part;
  #progress;
  #signal;
  #isTaken = false;

  /**
   * @param {import('./imap-asker.js').Asker} asker
   * @param {any} reading
   * @param {Api.MessagePart | null} part
   * @param {Api.ImapBodyOptions | undefined} options
   */
  constructor(asker, reading, part, options) {
    this.#asker = asker;
    this.#reading = reading;
    this.#part = part;
    this.#progress = options?.progress;
    this.#signal = options?.signal;
    this.size = /** @type {number} */ (reading.size);
  }

  get mediaType() { return this.#part?.mediaType ?? null; }

  /** @returns {ReadableStream<Uint8Array<ArrayBuffer>>} */
  stream() {
    if (this.#isTaken) {
      throw invalid('the text is being read already');
    }
    this.#isTaken = true;
    const signal = this.#signal;
    const cancel = () => void this.#reading.cancel();
    /** @type {() => void} */
    let onAbort = () => undefined;
    const over = () => signal?.removeEventListener('abort', onAbort);
    return new ReadableStream({
      type: 'bytes',
      start: (to) => {
        onAbort = () => {
          cancel();
          to.error(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        if (signal?.aborted) {
          onAbort();
        }
      },
      pull: async (to) => {
        const piece = await this.#asker.settled(this.#reading.next()).catch((error) => {
          over();
          throw error;
        });
        if (signal?.aborted) {
          return;
        }
        if (piece === null) {
          over();
          to.close();
          to.byobRequest?.respond(0);
          return;
        }
        to.enqueue(piece);
        this.#progress?.(this.#reading.received, this.size);
      },
      cancel: () => {
        over();
        cancel();
      },
    }, { highWaterMark: 0 });
  }

  async bytes() {
    return new Uint8Array(await new Response(this.stream()).arrayBuffer());
  }

  async blob() {
    const blob = await new Response(this.stream()).blob();
    const type = this.mediaType ?? 'message/rfc822';
    return blob.slice(0, blob.size, HARMLESS.test(type) ? type : 'application/octet-stream');
  }

  /** @returns {Promise<string>} */
  async text() {
    const bytes = await this.bytes();
    return this.#part === null ? new TextDecoder().decode(bytes) : this.#asker.partText(this.#part, bytes);
  }

  cancel() {
    void this.#reading.cancel();
  }
}
