/**
 * TCP connections of a page's own, as streams; with TLS that is verified in the page.
 */

import type { JackfieldError } from './common.js';

/**
 * A server's address: `host:port`, `tcp://host:port`, `tls://host:port` (TLS from the first byte), or its parts.
 * An IPv6 address stands in brackets. A name stays a name: whoever makes the connection looks it up.
 */
export type SocketAddress = string | URL | { hostname: string; port: number };

/** The part of a network that opens sockets. */
export interface SocketNetwork {
  /**
   * Connects to a server. The socket is there at once; what is written before it is open is sent then. Through a
   * relay there are at most 4,096 at a time, or as many as the relay allows.
   *
   * ```js
   * const socket = network.connect('whois.example.org:43');
   * const writer = socket.writable.getWriter();
   * await writer.write(new TextEncoder().encode('example.org\r\n'));
   * for await (const text of socket.readable.pipeThrough(new TextDecoderStream())) {
   *   console.log(text);
   * }
   * ```
   *
   * @throws {JackfieldError} `invalid-input` for an address or an option that can't be right; `unsupported`
   *   where there are neither Direct Sockets nor a relay. Whatever else fails, the promises and streams tell.
   */
  connect(address: SocketAddress, options?: ConnectOptions): Socket;
}

/** How to connect. */
export interface ConnectOptions {
  /** TLS from the first byte, as the network says or by these options. Default: none, but for `tls://`. */
  tls?: boolean | TlsOptions;
  /** Sends small writes at once instead of gathering them (`TCP_NODELAY`). Default: true. */
  noDelay?: boolean;
  /**
   * After how much silence TCP asks whether the peer still lives, in milliseconds, at least 1,000.
   * Default: never.
   */
  keepAlive?: number;
  /**
   * Whether this side may go on writing when the peer has ended its direction. Default: false: then
   * `writable` is closed too, after what was written.
   */
  allowHalfOpen?: boolean;
  /** Resets the connection, whether it is open or being opened; everything fails with the signal's reason. */
  signal?: AbortSignal;
  /** How long opening may take, TLS included, in milliseconds; then all fails as `timed-out`. Default: no limit. */
  timeout?: number;
}

/**
 * How a connection is secured. The server is always verified. An object that is passed again is not read again:
 * connections that share one resume each other's sessions, which is quicker, and which some servers insist on.
 */
export interface TlsOptions {
  /** Who the server must prove to be, by name or address; a name is told to it (SNI). Default: the host. */
  serverName?: string;
  /** The certificates, in PEM, that the server is verified against. Default: as `open()` was told. */
  roots?: string;
  /** What the server is known by in place of roots and name, as in `open()`. Default: as `open()` was told. */
  pins?: readonly string[];
  /** The application protocols to offer, the best first (RFC 7301). Default: none. */
  alpn?: readonly string[];
  /** Who this side is: its certificate with the chain, in PEM. Needs `key`. */
  certificate?: string;
  /** The private key of `certificate`, in PEM. */
  key?: string;
  /** The oldest version to speak. Default: TLS 1.2. */
  minVersion?: 'TLS 1.2' | 'TLS 1.3';
  /** The newest version to speak, for a server that fails at a newer one. Default: TLS 1.3. */
  maxVersion?: 'TLS 1.2' | 'TLS 1.3';
}

/** How TLS is started on an open connection. */
export interface StartTlsOptions extends TlsOptions {
  /** Resets the connection. Default: the signal that it was opened with. */
  signal?: AbortSignal;
  /** How long the handshake may take, in milliseconds. Default: no limit. */
  timeout?: number;
}

/**
 * A TCP connection. In its shape it is the `Socket` of WinterTC's sockets API, which Cloudflare Workers have.
 *
 * A socket that is forgotten while nothing waits for it is reset.
 */
export interface Socket extends AsyncDisposable {
  /** What is known about the connection, when it is open, with the TLS handshake done; rejects where it can't be. */
  readonly opened: Promise<SocketInfo>;
  /**
   * Resolves when both directions have ended in order: the peer's end was read, or reading was cancelled, and
   * everything written was sent; rejects with the error that ended it otherwise. Nobody needs to look at it.
   */
  readonly closed: Promise<void>;
  /**
   * What the peer says: a byte stream, which can be read with a buffer of one's own (`getReader({ mode: 'byob' })`).
   * Nothing is read before it is asked for: a page that doesn't read holds the peer back.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * What is said to the peer: ArrayBuffers, and views of them. A write settles when it is on its way; up to
   * 64 KiB wait in the stream before a writer is told to wait (`ready`).
   *
   * Closing it ends this side's direction. Where `halfClose` is false, that ends both: what has come by then can
   * still be read, and reading beyond it fails as `closed`. Aborting it resets the connection.
   */
  readonly writable: WritableStream<BufferSource>;
  /** Whether TLS has taken the connection over, by `startTls()`. */
  readonly upgraded: boolean;
  /**
   * Puts TLS over the connection, once the server has given its go-ahead (STARTTLS). The connection goes on in the
   * socket that is returned, and this one is over: its streams end, after what was written, and `closed` settles
   * as the new one's `opened` does. Locked or not makes no difference.
   *
   * Nothing may have come behind the go-ahead, since nobody has vouched for it: then the connection is reset, and
   * the new socket fails as `protocol` (CVE-2011-0411 and its kin).
   *
   * @throws {JackfieldError} `invalid-input` for an option that can't be right; `closed` where a direction has ended.
   */
  startTls(options?: StartTlsOptions): Socket;
  /**
   * Closes the connection in order: no more is read, what was written is sent, then both directions end. A socket
   * that is not open yet is given up; `opened` rejects. Gives `closed`.
   *
   * @param reason What later writes fail with.
   */
  close(reason?: unknown): Promise<void>;
  /**
   * Resets the connection: what was written and not sent is lost, and everything fails with the reason. Over Direct
   * Sockets the peer sees an end instead, since these know no reset.
   */
  abort(reason?: unknown): void;
  /**
   * Keying material of this connection, which both its ends can derive and nobody else (RFC 5705): what ties a
   * login to it.
   *
   * @param length How many bytes, 1 to 8,160.
   * @param label What for, such as `EXPORTER-Channel-Binding`.
   * @param context With TLS 1.2, none and an empty one are not the same.
   * @throws {JackfieldError} `unsupported` without TLS; `invalid-input` before it is open, and for wrong lengths.
   */
  exportKeyingMaterial(length: number, label: string, context?: Uint8Array): Uint8Array<ArrayBuffer>;
}

/** What is known about a connection. */
export interface SocketInfo {
  /** The server's, `host:port`; null where it is not known. */
  readonly remoteAddress: string | null;
  /** This side's, `host:port`; through a relay, the relay's. Null where it is not known. */
  readonly localAddress: string | null;
  /** The application protocol that was agreed on (ALPN); null without one. */
  readonly alpn: string | null;
  /** Whether one direction can end alone. False over Direct Sockets without TLS, and with TLS 1.2. */
  readonly halfClose: boolean;
  /**
   * Whether the connection may lose its end, or bytes in its middle, without an error: true only over Direct
   * Sockets without TLS, which makes an error of any loss.
   */
  readonly mayTruncate: boolean;
  /** Missing where the connection is not encrypted. */
  readonly tls?: {
    readonly version: 'TLS 1.2' | 'TLS 1.3';
    readonly cipherSuite: string;
    readonly alpn?: string;
    /** The server's certificate in DER, verified. */
    readonly certificate: Uint8Array<ArrayBuffer>;
    /** The certificates that it came with, its own first, each in DER. */
    readonly chain: readonly Uint8Array<ArrayBuffer>[];
  };
}
