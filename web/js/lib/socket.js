// @ts-check
/** A TCP connection of a page's own, as streams. What it is and does: socket.d.ts. */

import { kindOf, options as checked, text } from './check.js';
import { asyncDispose } from './ending.js';
import { JackfieldError, invalid } from './error.js';
import { checkWaiting } from './patience.js';

/** @import * as Api from '../socket.d.ts' */

/**
 * What the module has for it.
 *
 * @typedef {object} RawStream
 * @property {() => Promise<any>} opened
 * @property {(into: Uint8Array) => Promise<number>} read
 * @property {(most: number) => Promise<Uint8Array | undefined>} readSome
 * @property {() => void} stopReading
 * @property {(bytes: Uint8Array) => Promise<void>} write
 * @property {() => Promise<void>} shutdown
 * @property {(reason: unknown) => void} leave
 * @property {(reason: unknown) => void} abort
 * @property {(tls: any, server: string, ready: Promise<void> | undefined, reason: unknown) => RawStream} startTls
 * @property {(length: number, label: string, context?: Uint8Array) => Uint8Array} exportKeyingMaterial
 *
 * @typedef {object} RawNetwork
 * @property {(host: string, port: number, options: object) => RawStream} openStream
 * @property {(options: object | undefined) => object} tlsOf
 */

/**
 * How a socket behaves.
 *
 * @typedef {object} How
 * @property {RawNetwork} network
 * @property {string} server Who the server is, where TLS is started later and names nobody.
 * @property {boolean} [allowHalfOpen]
 * @property {AbortSignal} [signal]
 * @property {number} [timeout]
 * @property {QueuingStrategy} [writing] How much of what is written waits.
 * @property {(error: any) => any} [toError] What the page is told in place of an error. Twice is as once.
 */

/** What `ConnectOptions` and `TlsOptions` have. */
const OPTIONS = ['tls', 'noDelay', 'keepAlive', 'allowHalfOpen', 'signal', 'timeout'];
const TLS = ['serverName', 'roots', 'pins', 'alpn', 'certificate', 'key', 'minVersion', 'maxVersion'];
const START_TLS = [...TLS, 'signal', 'timeout'];

/** An option that only this package's own scripts can give: `toError` of `How`. */
export const TO_ERROR = Symbol('toError');

/** How many bytes are read at once, where the reader has no buffer of its own. */
const PIECE = 65_536;
/** How many bytes wait to be written before a writer is told to wait. */
const WRITE_AHEAD = 65_536;

/** @implements {Api.Socket} */
export class Socket {
  #raw;
  #how;
  /** @type {Api.SocketInfo | undefined} */
  #info;
  /** @type {ReadableByteStreamController} */
  #reads = /** @type {any} */ (undefined);
  /** @type {WritableStreamDefaultController} */
  #writes = /** @type {any} */ (undefined);
  /** Whether the peer may still say something that somebody may read. */
  #reading = true;
  /** The read that waits. @type {Promise<void> | undefined} */
  #pulling;
  /** Whether this side may still say something; no longer, once it is ending. @type {'open' | 'ending' | 'ended'} */
  #writing = 'open';
  /** How many chunks wait in the stream, and how many more will be taken from it. */
  #queued = 0;
  #taken = Infinity;
  #isSending = false;
  /** Who waits until nothing is being sent. @type {(() => void)[]} */
  #idle = [];
  /** Whether `closed` has settled. */
  #over = false;
  #upgraded = false;
  /** What came behind the go-ahead for TLS. @type {JackfieldError | undefined} */
  #spoiled;
  /** @type {() => void} */
  #resolve = () => undefined;
  /** @type {(error: unknown) => void} */
  #reject = () => undefined;
  /** Lets go of what outlives the socket. @type {() => void} */
  #release = () => undefined;

  /**
   * Connects.
   *
   * @param {RawNetwork} network
   * @param {Api.SocketAddress} address
   * @param {Api.ConnectOptions} [how]
   */
  static connect(network, address, how) {
    const options = checked('connect()', how, OPTIONS) ?? {};
    const { hostname, port, secure } = socketAddress(address);
    const { tls = secure, noDelay, keepAlive, allowHalfOpen = false, signal, timeout } = options;
    flag('tls', tls !== null && typeof tls === 'object' ? true : tls);
    flag('allowHalfOpen', allowHalfOpen);
    checkWaiting({ signal, timeout });
    const { serverName = hostname, ...others } = (typeof tls === 'object' && checked('tls', tls, TLS)) || {};
    text('option serverName', serverName);
    const secured = tls ? tlsOf(network, tls, others) : undefined;
    const plain = network.openStream(hostname, port, { noDelay, keepAlive });
    const raw = secured ? plain.startTls(secured, serverName, undefined, over()) : plain;
    const { [TO_ERROR]: toError } = /** @type {{ [TO_ERROR]?: How['toError'] }} */ (options);
    return new Socket(raw, { network, server: hostname, allowHalfOpen, signal, timeout, toError });
  }

  /** @param {RawStream} raw @param {How} how */
  constructor(raw, how) {
    this.#raw = raw;
    this.#how = how;
    /** @type {Promise<void>} */
    this.closed = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */
    this.readable = new ReadableStream({
      type: 'bytes',
      start: (controller) => { this.#reads = controller; },
      pull: () => (this.#pulling = this.#pull()),
      cancel: () => this.#endReading(),
      // Nothing is read that nobody has asked for: the peer is held back, and TLS may be started.
    }, { highWaterMark: 0 });
    const { highWaterMark = WRITE_AHEAD, size = byteLength } = how.writing ?? {};
    /** @type {WritableStream<BufferSource>} */
    this.writable = new WritableStream({
      start: (controller) => { this.#writes = controller; },
      write: (chunk) => this.#write(chunk),
      close: () => this.#endWriting(),
      abort: (reason) => this.abort(reason),
    }, {
      highWaterMark,
      size: (chunk) => {
        this.#queued += 1;
        return size(chunk);
      },
    });
    /** @type {Promise<Api.SocketInfo>} */
    this.opened = this.#open();
    // Whoever reads, writes or waits is told there.
    this.opened.catch(() => undefined);
    this.closed.catch(() => undefined);
    this.#watch();
  }

  get upgraded() { return this.#upgraded; }

  /** @param {unknown} [reason] */
  close(reason) {
    if (!this.#over && !this.#upgraded) {
      void this.#close(reason ?? closed('the socket was closed by this side'));
    }
    return this.closed;
  }

  /** @param {unknown} [reason] */
  abort(reason = closed('the socket was aborted by this side')) {
    if (!this.#upgraded) {
      this.#fail(reason);
    }
  }

  [asyncDispose]() { return this.close(); }

  /** @param {Api.StartTlsOptions} [how] @returns {Socket} */
  startTls(how) {
    const { signal, timeout, serverName, ...others } = checked('startTls()', how, START_TLS) ?? {};
    checkWaiting({ signal, timeout });
    const server = text('option serverName', serverName ?? this.#how.server);
    if (this.#over || this.#upgraded || this.#writing !== 'open' || !this.#reading) {
      throw closed('TLS can be started only on a socket that is open in both directions');
    }
    const tls = tlsOf(this.#how.network, how, others);
    const ready = this.#handOver();
    ready.catch(() => undefined);
    const raw = this.#raw.startTls(tls, server, ready, over());
    this.#upgraded = true;
    this.#taken = this.#queued;
    if ((this.#reads.desiredSize ?? 0) < 0) {
      this.#spoil();
    }
    this.#endReading();
    const next = new Socket(raw, { ...this.#how, server, signal: signal ?? this.#how.signal, timeout });
    // Not before: there are programs that take it for the end of the handshake.
    next.opened.then(() => this.#settle(), (error) => this.#settle({ error }));
    return next;
  }

  /** @param {number} length @param {string} label @param {Uint8Array} [context] */
  exportKeyingMaterial(length, label, context) {
    if (!Number.isInteger(length) || length < 1 || length > 8160) {
      throw invalid('the length of keying material is no whole number from 1 to 8160');
    }
    text('label', label);
    if (context !== undefined && !(context instanceof Uint8Array)) {
      throw invalid(`the context is ${kindOf(context)}, not a Uint8Array`);
    }
    return /** @type {Uint8Array<ArrayBuffer>} */ (this.#raw.exportKeyingMaterial(length, label, context));
  }

  async #open() {
    try {
      const { remoteAddress, remotePort, localAddress, localPort, ...others } = await this.#raw.opened();
      this.#info = {
        remoteAddress: hostAndPort(remoteAddress, remotePort),
        localAddress: hostAndPort(localAddress, localPort),
        alpn: others.tls?.alpn ?? null,
        ...others,
      };
      return /** @type {Api.SocketInfo} */ (this.#info);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Reads for somebody who waits. */
  async #pull() {
    const request = this.#reads.byobRequest;
    try {
      if (request) {
        const { buffer, byteOffset, byteLength } = /** @type {ArrayBufferView} */ (request.view);
        const length = await this.#raw.read(new Uint8Array(buffer, byteOffset, byteLength));
        if (this.#heard(length)) {
          request.respond(length);
        }
      } else {
        const bytes = await this.#raw.readSome(PIECE);
        if (this.#heard(bytes?.length ?? 0)) {
          this.#reads.enqueue(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
        }
      }
    } catch (error) {
      if (this.#reading) {
        this.#fail(error);
      }
    } finally {
      this.#pulling = undefined;
    }
  }

  /** So many bytes came, or the end; whether somebody takes them. @param {number} length */
  #heard(length) {
    if (!this.#reading) {
      if (this.#upgraded && length > 0) {
        this.#spoil();
      }
      return false;
    }
    if (length > 0) {
      return true;
    }
    this.#endReading();
    if (!this.#how.allowHalfOpen) {
      void this.#endWriting(closed('the peer has ended the connection'));
    }
    return false;
  }

  /** Nobody reads any longer, or there is nothing left. */
  #endReading() {
    if (!this.#reading) {
      return;
    }
    this.#reading = false;
    try {
      this.#reads.close();
      this.#reads.byobRequest?.respond(0);
    } catch {
      // Whoever read has cancelled.
    }
    this.#checkEnd();
  }

  /** @param {unknown} chunk */
  async #write(chunk) {
    this.#queued -= 1;
    if (this.#taken <= 0) {
      throw this.#told(this.#upgraded ? over() : closed('this side has ended the connection'));
    }
    this.#taken -= 1;
    const bytes = this.#bytesOf(chunk);
    this.#isSending = true;
    try {
      await this.#raw.write(bytes);
    } catch (error) {
      throw this.#failWriting(error);
    } finally {
      this.#isSending = false;
      this.#checkIdle();
    }
  }

  /** The bytes of a chunk. @param {unknown} chunk @returns {Uint8Array} */
  #bytesOf(chunk) {
    if (ArrayBuffer.isView(chunk)) {
      return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
    if (Object.prototype.toString.call(chunk) === '[object ArrayBuffer]') {
      return new Uint8Array(/** @type {ArrayBuffer} */ (chunk));
    }
    // The stream is over by this; so is the rest, since the peer would wait for what was left out.
    throw this.#fail(invalid(`what is written is ${kindOf(chunk)}, not an ArrayBuffer or a view of one`));
  }

  /** Settles when all that is to be sent is on its way, or never will be. @returns {Promise<void>} */
  #sent() {
    return new Promise((done) => {
      this.#idle.push(done);
      this.#checkIdle();
    });
  }

  #checkIdle() {
    const isIdle = !this.#isSending && (this.#queued === 0 || this.#taken <= 0);
    if (isIdle || this.#writing === 'ended') {
      for (const done of this.#idle.splice(0)) {
        done();
      }
    }
  }

  /**
   * Ends this side's direction, after what was written. What is written later fails with `reason`; without
   * one, the stream itself sees to that, and has waited until all is written.
   *
   * @param {unknown} [reason]
   */
  async #endWriting(reason) {
    if (this.#writing !== 'open') {
      return;
    }
    this.#writing = 'ending';
    try {
      if (reason !== undefined) {
        this.#taken = this.#queued;
        await this.#sent();
      }
      if (this.#over) {
        return;
      }
      await this.#raw.shutdown();
    } catch (error) {
      const told = this.#failWriting(error);
      if (reason === undefined) {
        throw told;
      }
      return;
    }
    this.#writing = 'ended';
    if (reason !== undefined) {
      this.#writes.error(this.#told(reason));
    }
    this.#checkEnd();
  }

  /** @param {unknown} reason */
  async #close(reason) {
    if (this.#info === undefined) {
      const told = this.#told(reason);
      this.#raw.abort(told);
      this.#settle();
      this.#failStreams(told);
      return;
    }
    this.#endReading();
    await this.#endWriting(reason);
  }

  /** What is still to do before TLS takes the connection over. */
  async #handOver() {
    await this.opened;
    await this.#sent();
    this.#failStreams(this.#told(over()));
    // A read that still waits must swallow nothing.
    this.#raw.stopReading();
    await this.#pulling;
    if (this.#spoiled) {
      throw this.#told(this.#spoiled);
    }
  }

  #spoil() {
    const message = `${this.#how.server} sent plaintext after the server's go-ahead for TLS`;
    this.#spoiled ??= new JackfieldError('protocol', message);
  }

  /** Whether both directions have ended. */
  #checkEnd() {
    if (this.#writing !== 'ended' || this.#upgraded) {
      return;
    }
    if (!this.#reading) {
      this.#raw.leave(this.#told(closed('the socket is closed')));
      this.#settle();
    } else if (!this.#info?.halfClose) {
      // Both directions are closed at once; what had come by then can still be read.
      this.#settle();
    }
  }

  /** Everything fails with this; gives what is told. @param {unknown} error */
  #fail(error) {
    const told = this.#told(error);
    this.#raw.abort(told);
    this.#settle({ error: told });
    this.#failStreams(told);
    return told;
  }

  /** This side can say nothing more; what the peer has said can still be read. @param {unknown} error */
  #failWriting(error) {
    const told = this.#told(error);
    this.#writing = 'ended';
    this.#writes.error(told);
    if (!this.#reading) {
      this.#raw.abort(told);
    }
    this.#settle({ error: told });
    return told;
  }

  /** @param {unknown} error */
  #failStreams(error) {
    this.#writing = 'ended';
    this.#writes.error(error);
    if (this.#reading) {
      this.#reading = false;
      this.#reads.error(error);
    }
    this.#checkIdle();
  }

  /** @param {{ error: unknown }} [failed] */
  #settle(failed) {
    this.#over = true;
    this.#release();
    if (failed) {
      this.#reject(failed.error);
    } else {
      this.#resolve();
    }
  }

  /** @param {unknown} error */
  #told(error) { return this.#how.toError?.(error) ?? error; }

  /** Gives up when the page says so, or when it takes too long. */
  #watch() {
    const { signal, timeout } = this.#how;
    // A signal may live longer than the socket, which it must not keep.
    const self = new WeakRef(this);
    const aborted = () => self.deref()?.abort(signal?.reason);
    const late = () => {
      self.deref()?.abort(new JackfieldError('timed-out', `the socket was not open within ${timeout} ms`));
    };
    const timer = timeout === undefined ? undefined : setTimeout(late, timeout);
    const opened = () => clearTimeout(timer);
    this.opened.then(opened, opened);
    signal?.addEventListener('abort', aborted);
    this.#release = () => signal?.removeEventListener('abort', aborted);
    if (signal?.aborted) {
      aborted();
    }
  }
}

/**
 * Takes an address apart.
 *
 * @param {Api.SocketAddress} address
 * @returns {{ hostname: string, port: number, secure: boolean }}
 */
export function socketAddress(address) {
  if (typeof address === 'object' && address !== null && !(address instanceof URL)) {
    const { hostname, port } = checked('the address', address, ['hostname', 'port']) ?? address;
    text('hostname', hostname);
    if (!isPort(port)) {
      const said = typeof port === 'number' ? port : kindOf(port);
      throw invalid(`the port is ${said}, not a whole number from 1 to 65535`);
    }
    return { hostname: bare(hostname), port, secure: false };
  }
  const written = address instanceof URL ? address.href : text('address', address);
  const parts = /^(?:(tcp|tls):\/\/)?(\[[^\]]*\]|[^:/[\]]+)(?::(\d{1,5}))?\/?$/.exec(written);
  if (!parts) {
    throw invalid(`the address ${written} is not host:port, tcp://host:port or tls://host:port`);
  }
  const port = Number(parts[3]);
  if (!isPort(port)) {
    throw invalid(`the address ${written} has no port from 1 to 65535`);
  }
  return { hostname: bare(parts[2] ?? ''), port, secure: parts[1] === 'tls' };
}

/** @param {unknown} port */
function isPort(port) { return Number.isInteger(port) && Number(port) > 0 && Number(port) < 65_536; }

/** A host without the brackets that an IPv6 address has. @param {string} host */
function bare(host) { return host.replace(/^\[(.*)\]$/, '$1'); }

/** @param {string | undefined} host @param {number} port */
function hostAndPort(host, port) {
  return host === undefined ? null : `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** What was made of options, by network. @type {WeakMap<object, WeakMap<object, object>>} */
const TLS_OF = new WeakMap();

/**
 * What secures sockets as the options say. An object that is passed again is not read again: sockets that
 * share it resume each other's sessions.
 *
 * @param {RawNetwork} network
 * @param {unknown} key
 * @param {object} options
 */
function tlsOf(network, key, options) {
  if (typeof key !== 'object' || key === null || Object.keys(options).length === 0) {
    return network.tlsOf(undefined);
  }
  const known = TLS_OF.get(network) ?? new WeakMap();
  TLS_OF.set(network, known);
  const tls = known.get(key) ?? network.tlsOf(options);
  known.set(key, tls);
  return tls;
}

/** @param {any} chunk */
function byteLength(chunk) { return chunk?.byteLength ?? 1; }

/** @param {string} name @param {unknown} value */
function flag(name, value) {
  if (typeof value !== 'boolean') {
    throw invalid(`the option ${name} is ${kindOf(value)}, not true or false`);
  }
}

/** @param {string} message */
function closed(message) { return new JackfieldError('closed', message); }

/** What the rest of a socket fails with whose connection TLS has taken over. */
function over() { return closed('TLS has taken the connection over: the socket that startTls() gave goes on'); }
