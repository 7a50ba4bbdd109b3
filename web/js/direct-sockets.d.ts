/**
 * Direct Sockets on any page: `TCPSocket`, `TCPServerSocket` and `UDPSocket` as Chrome has them in Isolated Web
 * Apps, through a relay.
 *
 * ```js
 * import { TCPSocket, open } from 'jackfield/direct-sockets';
 *
 * await open({ relay: 'wss://relay.example.org/', token });
 * const socket = new TCPSocket('telehack.com', 23);
 * const { readable, writable } = await socket.opened;
 *
 * const writer = writable.getWriter();
 * await writer.write(new TextEncoder().encode('starwars\r\n'));
 * for await (const text of readable.pipeThrough(new TextDecoderStream())) console.log(text);
 * ```
 *
 * A program that was written for Chrome's globals finds them after `install(globalThis)`.
 *
 * In an Isolated Web App the same classes stand on Chrome's own sockets, and lose nothing in silence, which those
 * do. Everywhere they behave as Chromium 156's, down to the words of an error, where that harms nobody; what they
 * do otherwise, and what a relay can't have, is listed in docs/direct-sockets.md. An error that came of the network
 * has a `cause`: a {@link JackfieldError} that says more.
 */

import type { BaseNetwork, JackfieldError, OpenOptions } from './common.js';

export * from './common.js';

/**
 * Opens the way to the network, which all sockets that are constructed from then on go through: Direct Sockets
 * where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a token that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network, for Direct Sockets. */
export interface Network extends BaseNetwork {
  /** Lets the sockets that are constructed from now on go through this network, after another was opened. */
  use(): Promise<void>;
}

/**
 * Puts `TCPSocket`, `TCPServerSocket`, `UDPSocket` and `MulticastController` where a program looks for them, in
 * place of those that may be there.
 *
 * @param target `globalThis`, of a page or of a worker.
 */
export function install(target: typeof globalThis): void;

/** Which addresses of a name are taken. */
export type SocketDnsQueryType = 'ipv4' | 'ipv6';

/** What TCP and UDP sockets have in common. */
export interface SocketOptions {
  /** The system's buffer for what is sent, in bytes; through a relay, that of its system. At least 1. */
  sendBufferSize?: number;
  /** The same for what is received. At least 1. */
  receiveBufferSize?: number;
}

/** How a {@link TCPSocket} is opened. */
export interface TCPSocketOptions extends SocketOptions {
  /** Which addresses of a name to take. Default: any. */
  dnsQueryType?: SocketDnsQueryType;
  /** Sends small writes at once instead of gathering them (`TCP_NODELAY`). Default: false. */
  noDelay?: boolean;
  /** After how many milliseconds of silence TCP asks whether the peer still lives. At least 1,000; default: never. */
  keepAliveDelay?: number;
}

/** What an open {@link TCPSocket} has. */
export interface TCPSocketOpenInfo {
  /** A byte stream: `getReader({ mode: 'byob' })` reads into buffers of one's own. It ends with the peer's end. */
  readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Takes `ArrayBuffer`s and views. A write settles when it is on its way: one that the peer must read first waits. */
  writable: WritableStream<BufferSource>;
  remoteAddress: string;
  remotePort: number;
  /** The address on this side; through a relay, on the relay. A socket that was accepted has none. */
  localAddress?: string;
  localPort?: number;
}

/**
 * A TCP connection.
 *
 * Of a socket that its page has forgotten, the connection is cut when it is collected.
 */
export class TCPSocket {
  /**
   * @param remoteAddress A name or an address, without brackets.
   * @throws {TypeError} For options that can't be right, with Chrome's words.
   * @throws {DOMException} `NotAllowedError`, where no network was opened.
   */
  constructor(remoteAddress: string, remotePort: number, options?: TCPSocketOptions);
  /**
   * Rejects with a `DOMException`: `NetworkError` where nothing listens there, no way leads there, or the name has
   * no address; `InvalidAccessError` where a rule of the relay, the browser or an administrator forbids it;
   * `NotSupportedError` where the network can't honour an option.
   */
  readonly opened: Promise<TCPSocketOpenInfo>;
  /** Resolves when both directions have ended, rejects with the error that has ended one. Nobody has to look. */
  readonly closed: Promise<undefined>;
  /**
   * Ends both directions; what was written, and settled, is sent before. Is {@link closed}.
   *
   * Rejects with `InvalidStateError` where the socket has not opened, or one of its streams is locked.
   */
  close(): Promise<undefined>;
}

/** How a {@link UDPSocket} is opened: connected to a peer, or bound to a local address. */
export interface UDPSocketOptions extends SocketOptions {
  /** Connects the socket to this peer; with `remotePort`. */
  remoteAddress?: string;
  remotePort?: number;
  /** Which addresses of a name to take, when connecting. Default: any. */
  dnsQueryType?: SocketDnsQueryType;
  /** Binds the socket to this address, such as `0.0.0.0`; through a relay, to one of the relay's. */
  localAddress?: string;
  /** Default: a free one. */
  localPort?: number;
  /** Whether IPv4 is left out. With the local address `::` alone. */
  ipv6Only?: boolean;
  /** Whether other sockets may be bound to the same port. Default: false. */
  multicastAllowAddressSharing?: boolean;
  /** Whether this host hears what it sends to groups. Default: true. */
  multicastLoopback?: boolean;
  /** How many routers what is sent to groups may pass, 0 to 255. Default: 1. */
  multicastTimeToLive?: number;
}

/** A datagram. */
export interface UDPMessage {
  /** 1 to 65,507 bytes; one that was received is a `Uint8Array`, and may be empty. */
  data: BufferSource;
  /** Of a bound socket: whom it is for, or who has sent it. A connected one has neither. */
  remoteAddress?: string;
  remotePort?: number;
  /** Which addresses of a name to take. Of a bound socket, when it sends. */
  dnsQueryType?: SocketDnsQueryType;
}

/** What an open {@link UDPSocket} has. */
export interface UDPSocketOpenInfo {
  /** What comes while nobody reads is kept up to the network's bound; beyond it, the newest are lost. */
  readable: ReadableStream<UDPMessage & { data: Uint8Array<ArrayBuffer> }>;
  /** A datagram that can't be sent ends it. */
  writable: WritableStream<UDPMessage>;
  /** Of a connected socket. */
  remoteAddress?: string;
  remotePort?: number;
  /** The address on this side; through a relay, on the relay. */
  localAddress: string;
  localPort: number;
  /** Of a bound socket. */
  multicastController?: MulticastController;
}

/** A UDP socket, connected to one peer or bound to a local address. */
export class UDPSocket {
  /**
   * @throws {TypeError} For options that can't be right, with Chrome's words.
   * @throws {DOMException} `NotAllowedError`, where no network was opened.
   */
  constructor(options: UDPSocketOptions);
  /** Rejects as {@link TCPSocket.opened} does, and with `DataError` for an address that is not the network's own. */
  readonly opened: Promise<UDPSocketOpenInfo>;
  /** As {@link TCPSocket.closed}. */
  readonly closed: Promise<undefined>;
  /** As {@link TCPSocket.close}. */
  close(): Promise<undefined>;
}

/** How a group is joined. Chromium 156 knows no option yet. */
export interface MulticastGroupOptions {}

/** The multicast groups of a bound socket. There is no constructor. */
export class MulticastController {
  private constructor();
  /**
   * Joins a group: what is sent to it, at the socket's port, is received from then on.
   *
   * Rejects with `NotSupportedError` through a relay, whose sockets have their groups from the start or not at all.
   */
  joinGroup(ipAddress: string, options?: MulticastGroupOptions): Promise<void>;
  leaveGroup(ipAddress: string, options?: MulticastGroupOptions): Promise<void>;
  /** Frozen; another array after each change. */
  readonly joinedGroups: readonly string[];
}

/** How a {@link TCPServerSocket} listens. */
export interface TCPServerSocketOptions {
  /** Default: a free one. Chrome's own sockets may not listen below 32,768, a relay's where its rules say. */
  localPort?: number;
  /** How many connections may wait to be accepted, at least 1. Default: the system's choice. */
  backlog?: number;
  /** Whether IPv4 is left out. With the local address `::` alone. */
  ipv6Only?: boolean;
}

/** What an open {@link TCPServerSocket} has. */
export interface TCPServerSocketOpenInfo {
  /** The connections. One that is not read waits. */
  readable: ReadableStream<TCPSocket>;
  /** Where it listens; through a relay, on the relay. */
  localAddress: string;
  localPort: number;
}

/** A socket that accepts TCP connections. */
export class TCPServerSocket {
  /**
   * @param localAddress An IP address, such as `0.0.0.0`; through a relay, one of the relay's.
   * @throws {TypeError} For options that can't be right, with Chrome's words.
   * @throws {DOMException} `NotAllowedError`, where no network was opened.
   */
  constructor(localAddress: string, options?: TCPServerSocketOptions);
  /** Rejects as {@link UDPSocket.opened} does. */
  readonly opened: Promise<TCPServerSocketOpenInfo>;
  /** Resolves when it listens no more. Connections that were accepted live on. Nobody has to look. */
  readonly closed: Promise<undefined>;
  /** Stops listening. Is {@link closed}; rejects as {@link TCPSocket.close} does. */
  close(): Promise<undefined>;
}
