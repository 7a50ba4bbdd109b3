/**
 * TCP sockets in a page: `network.connect()`, and `connect()` as WinterTC's sockets API and Cloudflare Workers have
 * it, so that libraries for these run unchanged. Name this module as the alias of `cloudflare:sockets` in a bundler,
 * and open the network once, before any of them connects:
 *
 * ```js
 * import { connect, open } from 'jackfield/sockets';
 *
 * await open({ relay: 'wss://relay.example.org/', token });
 * const socket = connect('example.org:443', { secureTransport: 'on' });
 * const writer = socket.writable.getWriter();
 * await writer.write(new TextEncoder().encode('HEAD / HTTP/1.0\r\nHost: example.org\r\n\r\n'));
 * for await (const text of socket.readable.pipeThrough(new TextDecoderStream())) {
 *   console.log(text);
 * }
 * ```
 */

import type { BaseNetwork, OpenOptions } from './common.js';
import type { SocketInfo, SocketNetwork } from './socket.js';

export * from './common.js';
export * from './socket.js';
/** What `network.connect()` gives. */
export type { Socket as NetworkSocket } from './socket.js';

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere. From then on `connect()` of
 * this module goes over it; where this is called again, over the newest one.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network. */
export interface Network extends BaseNetwork, SocketNetwork {}

/** A server's address: `host:port`, or its parts. */
export type AnySocketAddress = string | { hostname: string; port: number };

/** How to connect. Options that are not listed here are ignored. */
export interface SocketOptions {
  /**
   * `on`: TLS from the first byte. `starttls`: plaintext, until `startTls()` is called. Certificates are verified
   * as `open()` was told. Default: `off`, plaintext.
   */
  secureTransport?: 'off' | 'on' | 'starttls';
  /** Whether this side may go on writing when the peer has ended its direction. Default: false. */
  allowHalfOpen?: boolean;
  /** Who the server must prove to be, and is told (SNI). Only with TLS. Default: the host. */
  sni?: string | null;
  /** The application protocols to offer, the best first. Only with TLS. Default: none. */
  alpn?: readonly string[];
}

/** How TLS is started. */
export interface TlsUpgradeOptions {
  /** Who the server must prove to be. Default: `sni`, else the host. */
  expectedServerHostname?: string;
  /** The same, by the name that it has in Node.js. */
  servername?: string;
}

/**
 * Connects to a server, over the network that `open()` of this module has opened.
 *
 * @throws {SocketError} For an address or an option that can't be right, and where no network is open. Whatever else
 *   fails, the socket's promises and streams tell, by a `SocketError` too; the `JackfieldError` behind it is its
 *   `cause`.
 */
export function connect(address: AnySocketAddress, options?: SocketOptions | null): Socket;

/**
 * A connection, as WinterTC has it. What is not said here is as in what `network.connect()` gives: it is made of it.
 *
 * There is one difference to WinterTC: a connection that the peer resets rejects `closed`, and never looks as if it
 * had ended in order.
 */
export interface Socket {
  /** A byte stream. The peer's end is noticed when it is read. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<BufferSource>;
  /** When the connection is there, with the TLS handshake done. Nobody needs to look at it. */
  readonly opened: Promise<SocketInfo>;
  /** Nobody needs to look at it. After `startTls()` it settles when the new socket is open, or can't be. */
  readonly closed: Promise<void>;
  /** Whether TLS has taken the connection over, by `startTls()`. */
  readonly upgraded: boolean;
  readonly secureTransport: 'off' | 'on' | 'starttls';
  /** Closes it; what was written is sent first. One that is not open yet is given up: `opened` rejects. */
  close(reason?: unknown): Promise<void>;
  /**
   * Puts TLS over it. The connection goes on in the socket that is returned.
   *
   * @throws {SocketError} Where TLS is there already, or `secureTransport` is not `starttls`.
   */
  startTls(options?: TlsUpgradeOptions | null): Socket;
}

/** What fails here: a `TypeError` whose message begins with `SocketError: `. */
export class SocketError extends TypeError {
  constructor(message: string, options?: ErrorOptions);
}
