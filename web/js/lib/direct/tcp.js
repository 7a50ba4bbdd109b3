// @ts-check
/** `TCPSocket`. What it is and does: direct-sockets.d.ts. */

import { ipAddress } from './address.js';
import { aborted, exception, opening, unresolved } from './errors.js';
import { Life } from './life.js';
import { Pump } from './pump.js';
import { network } from './way.js';
import { boolean, bytes, dictionary, dnsQueryType, domString, enough, port, shape, within, wrong } from './webidl.js';

/** @import * as Api from '../../direct-sockets.d.ts' */
/** @import { RawStream } from '../../wasm/direct-sockets.js' */

/**
 * What is known of a connection.
 *
 * @typedef {object} Facts
 * @property {boolean} halfClose Whether the peer can be told of the end of one direction alone.
 * @property {string} remoteAddress
 * @property {number} remotePort
 * @property {string} [localAddress]
 * @property {number} [localPort]
 */

/** How many bytes are read at once. */
const PIECE = 65_536;
/** What `TCPSocketOptions` has. */
const OPTIONS = {
  receiveBufferSize: within('unsigned long'),
  sendBufferSize: within('unsigned long'),
  dnsQueryType,
  keepAliveDelay: within('unsigned long'),
  noDelay: boolean,
};
const INHERITED = { receiveBufferSize: 'SocketOptions', sendBufferSize: 'SocketOptions' };
/** Stands for the arguments of a socket that was accepted. */
const ACCEPTED = Symbol('accepted');

/** @implements {Api.TCPSocket} */
export class TCPSocket {
  /** @type {Life<Api.TCPSocketOpenInfo>} */
  #life;

  /**
   * @param {string} remoteAddress
   * @param {number} remotePort
   * @param {Api.TCPSocketOptions} [options]
   */
  constructor(remoteAddress, remotePort, options = {}) {
    this.#life = new Life('TCPSocket');
    if (/** @type {unknown} */ (remoteAddress) === ACCEPTED) {
      const { raw, info } = /** @type {{ raw: RawStream, info: Facts }} */ (/** @type {unknown} */ (options));
      connected(this.#life, raw, info);
      return;
    }
    const at = "Failed to construct 'TCPSocket': ";
    enough(at, arguments.length, 2);
    const host = domString(at, remoteAddress);
    const to = port(at, remotePort);
    const given = dictionary(at, options, 'TCPSocketOptions', OPTIONS, INHERITED);
    const way = network(at);
    checkBuffers(at, given);
    if (given.keepAliveDelay !== undefined && given.keepAliveDelay < 1000) {
      throw wrong(at, 'keepAliveDelay must be no less than 1,000 milliseconds.');
    }
    void connect(this.#life, way, host, to, given);
  }

  get opened() { return this.#life.opened; }

  get closed() { return this.#life.closed; }

  close() { return this.#life.close(); }
}

shape(TCPSocket, 'TCPSocket');

/**
 * A socket that was accepted.
 *
 * @param {RawStream} raw
 * @param {Facts} facts
 */
export function accepted(raw, { halfClose, remoteAddress, remotePort }) {
  const info = { halfClose, remoteAddress, remotePort };
  return new TCPSocket(/** @type {any} */ (ACCEPTED), 0, /** @type {any} */ ({ raw, info }));
}

/** @param {string} at @param {{ sendBufferSize?: number, receiveBufferSize?: number }} given */
export function checkBuffers(at, given) {
  if (given.sendBufferSize === 0) {
    throw wrong(at, 'sendBufferSize must be greater than zero.');
  }
  if (given.receiveBufferSize === 0) {
    throw wrong(at, 'receiverBufferSize must be greater than zero.');
  }
}

/**
 * The host as the network takes it.
 *
 * @param {string} host
 * @param {'ipv4' | 'ipv6' | undefined} family
 * @throws {DOMException} Where it is an address of the other family.
 */
export function hostOf(host, family) {
  const address = ipAddress(host);
  if (address && family !== undefined && address.family !== family) {
    throw unresolved();
  }
  return address?.text ?? host;
}

/**
 * @param {Life<Api.TCPSocketOpenInfo>} life
 * @param {import('../../wasm/direct-sockets.js').Network} way
 * @param {string} host
 * @param {number} to
 * @param {Api.TCPSocketOptions} given
 */
async function connect(life, way, host, to, given) {
  try {
    const at = hostOf(host, given.dnsQueryType);
    if (to === 0) {
      throw exception('NetworkError', 'Network Error.');
    }
    const raw = way.openStream(at, to, {
      noDelay: given.noDelay ?? false,
      keepAlive: given.keepAliveDelay,
      sendBufferSize: given.sendBufferSize,
      receiveBufferSize: given.receiveBufferSize,
      family: given.dnsQueryType,
    });
    connected(life, raw, /** @type {Facts} */ (await raw.opened()));
  } catch (error) {
    life.refuse(refusal(error));
  }
}

/** Why it can't be opened. @param {unknown} error */
export function refusal(error) {
  if (error instanceof DOMException) {
    return error;
  }
  // Ports can't be wrong by now: it is the host, and no look-up would find it.
  return /** @type {{ kind?: string }} */ (error).kind === 'invalid-input' ? unresolved() : opening(error);
}

/**
 * Makes the streams of a connection.
 *
 * @param {Life<Api.TCPSocketOpenInfo>} life
 * @param {RawStream} raw
 * @param {Facts} facts
 */
function connected(life, raw, { halfClose, remoteAddress, remotePort, localAddress, localPort }) {
  const over = exception('AbortError', 'Stream closed.');
  /** The end of a side. @param {{ error: unknown }} [failure] */
  const ended = (failure) => {
    if (!life.ended(failure)) {
      return;
    }
    if (life.failed) {
      raw.abort(over);
    } else {
      // What was written goes out before, and a failure of that is nobody's any more.
      raw.shutdown().catch(() => undefined).then(() => raw.leave(over));
    }
  };
  const reading = new Reading(raw, ended);
  const writing = new Writing(raw, ended, halfClose);
  // What cuts the connection cuts both of its sides.
  reading.onCut = (error) => writing.cut(error);
  writing.onCut = (error) => reading.cut(error);
  life.open({
    readable: reading.stream,
    writable: writing.stream,
    remoteAddress,
    remotePort,
    ...(localAddress !== undefined && { localAddress, localPort }),
  });
  reading.start();
}

/** What comes. In a function of its own: what it makes must hold no more than it needs. @param {RawStream} raw */
function bytesOf(raw) {
  return new Pump(() => raw.readSome(PIECE), () => raw.abort(undefined));
}

/** The reading side of a connection. */
class Reading {
  /** Told what has cut the connection. @type {(error: DOMException) => void} */
  onCut = () => undefined;
  stream;
  #pump;
  #ended;
  #open = true;
  /** @type {ReadableByteStreamController | undefined} */
  #controller;
  /** What has come, and did not fit into the reader's buffer. @type {Uint8Array | undefined} */
  #rest;

  /** @param {RawStream} raw @param {(failure?: { error: unknown }) => void} ended */
  constructor(raw, ended) {
    this.#ended = ended;
    this.#pump = bytesOf(raw);
    this.#pump.onFailure = (error) => {
      const failure = aborted(error);
      this.cut(failure);
      this.onCut(failure);
    };
    this.stream = new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => this.#end(),
    });
  }

  /** Looks for what comes, and for an end. */
  start() { this.#pump.start(); }

  /** The connection was cut. @param {DOMException} error */
  cut(error) {
    if (this.#open) {
      this.#controller?.error(error);
      this.#end({ error });
    }
  }

  async #pull() {
    const chunk = this.#rest ?? (await this.#pump.next())?.value;
    this.#rest = undefined;
    if (!this.#open) {
      return;
    }
    const controller = /** @type {ReadableByteStreamController} */ (this.#controller);
    const request = controller.byobRequest;
    if (chunk === undefined) {
      controller.close();
      // Whoever reads into a buffer of his own gets it back.
      request?.respond(0);
      this.#end();
      return;
    }
    const view = request?.view;
    if (!request || !view) {
      controller.enqueue(/** @type {Uint8Array<ArrayBuffer>} */ (chunk));
    } else {
      const length = Math.min(chunk.length, view.byteLength);
      new Uint8Array(view.buffer, view.byteOffset, length).set(chunk.subarray(0, length));
      if (length < chunk.length) {
        this.#rest = chunk.subarray(length);
      }
      request.respond(length);
    }
    if (!this.#rest) {
      this.#pump.start();
    }
  }

  /** @param {{ error: unknown }} [failure] */
  #end(failure) {
    this.#open = false;
    this.#rest = undefined;
    this.#pump.stop();
    this.#ended(failure);
  }
}

/** The writing side of a connection. */
class Writing {
  /** Told what has cut the connection. @type {(error: DOMException) => void} */
  onCut = () => undefined;
  stream;
  #raw;
  #ended;
  #halfClose;
  #open = true;
  /** @type {WritableStreamDefaultController | undefined} */
  #controller;

  /**
   * @param {RawStream} raw
   * @param {(failure?: { error: unknown }) => void} ended
   * @param {boolean} halfClose Whether the peer can be told of the end of this side alone.
   */
  constructor(raw, ended, halfClose) {
    this.#raw = raw;
    this.#ended = ended;
    this.#halfClose = halfClose;
    this.stream = new WritableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      write: (chunk, controller) => this.#write(chunk, controller.signal),
      close: () => this.#close(),
      abort: () => this.#end(),
    }, new CountQueuingStrategy({ highWaterMark: 1 }));
  }

  /** The connection was cut. @param {DOMException} error */
  cut(error) {
    if (this.#open) {
      this.#controller?.error(error);
      this.#end({ error });
    }
  }

  /** @param {unknown} chunk @param {AbortSignal} signal */
  async #write(chunk, signal) {
    /** @type {Uint8Array} */
    let data;
    try {
      data = bytes("Failed to execute 'write' on 'WritableStreamDefaultWriter': ", chunk);
    } catch (error) {
      this.#end({ error });
      throw error;
    }
    /** @type {() => void} */
    let stop = () => undefined;
    /** @type {Promise<never>} */
    const given = new Promise((_, reject) => {
      stop = () => reject(signal.reason);
    });
    signal.addEventListener('abort', stop, { once: true });
    try {
      await Promise.race([this.#raw.write(data), given]);
    } catch (cause) {
      if (signal.aborted) {
        // Part of it may be on its way: what the peer gets must not look whole.
        this.#raw.abort(signal.reason);
        throw cause;
      }
      const error = aborted(cause);
      this.onCut(error);
      this.#end({ error });
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async #close() {
    if (this.#halfClose) {
      try {
        await this.#raw.shutdown();
      } catch (cause) {
        const error = aborted(cause);
        this.onCut(error);
        this.#end({ error });
        throw error;
      }
    }
    this.#end();
  }

  /** @param {{ error: unknown }} [failure] */
  #end(failure) {
    if (this.#open) {
      this.#open = false;
      this.#ended(failure);
    }
  }
}
