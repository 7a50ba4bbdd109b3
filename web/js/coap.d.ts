/**
 * CoAP in a page.
 *
 * ```js
 * import { open } from 'jackfield/coap';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * const device = await network.coap('coap://192.168.1.20');
 * await device.put('/light', 'on');
 * for await (const reading of device.observe('/temperature')) {
 *   console.log(reading.text());
 * }
 * ```
 */

import type {
  BaseNetwork, Body, Client, JackfieldError, OpenOptions, ReconnectOptions, Security, WaitOptions,
} from './common.js';

export * from './common.js';

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network, for CoAP. */
export interface Network extends BaseNetwork {
  /**
   * A CoAP client for one server.
   *
   * @param url `coap://host` (UDP, port 5683), `coap+tcp://host` (TCP, 5683), `coaps+tcp://host`
   *   (TLS, 5684) through this network; `coaps+ws://host` and `coap+ws://host` over the page's own
   *   WebSocket, for servers that offer it.
   * @throws {JackfieldError} `invalid-input` for an address that can't be one.
   */
  coap(url: string | URL, options?: CoapOptions): Promise<Coap>;
  /**
   * A group of CoAP servers, asked together by multicast (RFC 7252, section 8).
   *
   * @param url `coap://` with a multicast address: `coap://224.0.1.187` are all CoAP servers of the network that
   *   the relay, or this device, is in.
   * @throws {JackfieldError} `invalid-input` for another address. Where the relay's rules don't allow it the
   *   group ends as `denied`: the token needs `udp_open`, and rules for the group and for listening.
   */
  coapGroup(url: string | URL, options?: CoapGroupOptions): Promise<CoapGroup>;
}

export interface CoapOptions {
  /** Protects requests end to end, through proxies too (RFC 8613). */
  oscore?: OscoreOptions;
  /**
   * The largest blocks that bodies are sent in, and are asked for, in bytes: 16, 32, 64, 128, 256, 512 or
   * 1024 (RFC 7959). Smaller ones are for devices and networks that take no more. Default: 1024; over TCP and
   * WebSocket, blocks are larger where the server takes them.
   */
  blockSize?: number;
  /**
   * How many bytes of answers are kept, to be given again while they are fresh (`maxAge`), and validated by their
   * `etag` when they no longer are. Default: 0, every request goes to the server.
   */
  maxCacheBytes?: number;
  /** How to connect again after a connection was lost; false for never: then its loss ends the client. */
  reconnect?: ReconnectOptions | false;
}

/** What both sides of OSCORE were given beforehand. */
export interface OscoreOptions {
  masterSecret: Uint8Array;
  masterSalt?: Uint8Array;
  senderId: Uint8Array;
  recipientId: Uint8Array;
  idContext?: Uint8Array;
  /** Where the numbers used are kept, in this origin's IndexedDB: none may ever be used twice. */
  store: string;
}

/**
 * A CoAP client for one server. A path may carry a query, `/history?n=10`; without one it is the
 * path of the address that the client was made with. An answer is an answer: what the server refuses
 * is told by `ok` and `code`, and only what prevents an answer is thrown.
 */
export interface Coap extends Client {
  /**
   * Resolves when there is a connection for the first time; rejects with the error that has ended the client
   * before. Over UDP it says nothing of the server, which `ping()` asks.
   */
  readonly connected: Promise<void>;
  get(path?: string, options?: CoapRequestOptions): Promise<CoapResponse>;
  put(path: string, payload?: Body, options?: CoapRequestOptions): Promise<CoapResponse>;
  post(path: string, payload?: Body, options?: CoapRequestOptions): Promise<CoapResponse>;
  delete(path: string, options?: CoapRequestOptions): Promise<CoapResponse>;
  /** As GET, with a payload that says what is asked for (RFC 8132). */
  fetch(path: string, payload: Body, options?: CoapRequestOptions): Promise<CoapResponse>;
  patch(path: string, payload: Body, options?: CoapRequestOptions): Promise<CoapResponse>;
  iPatch(path: string, payload: Body, options?: CoapRequestOptions): Promise<CoapResponse>;
  /**
   * The resource's state now, and whenever it changes (RFC 7641). It goes on when the server is
   * silent for a while or the connection is lost, and ends when the server ends it. Leaving the loop
   * cancels, and so does the option `signal` at any time.
   */
  observe(path?: string, options?: CoapObserveOptions): CoapObservation;
  /** What the server offers: `/.well-known/core`, narrowed by a query such as `rt=temperature*`. */
  discover(query?: string, options?: CoapRequestOptions): Promise<CoapLink[]>;
  /** How long an empty question takes to be answered, in milliseconds. */
  ping(options?: WaitOptions): Promise<number>;
  /** What stands between this page and the server; null while there is no connection. */
  readonly security: Security | null;
  /** Takes leave of the server, and ends; whatever waits fails as `closed`. */
  close(options?: WaitOptions): Promise<void>;
}

/** A request that is given up is not repeated any more, and a transfer ends in the middle. */
export interface CoapRequestOptions extends WaitOptions {
  /** The payload's Content-Format: its number or its media type. */
  format?: number | string;
  /** The Content-Formats that are welcome. */
  accept?: number | string;
  /** Only if the resource is still this one. */
  ifMatch?: Uint8Array;
  /** Only if there is no resource yet. */
  ifNoneMatch?: boolean;
  /**
   * What is held already, by the `etag` of an earlier answer: where it still holds, the answer is `2.03`, without
   * a payload. 1 to 8 bytes.
   */
  etag?: Uint8Array;
  /** Sent without asking for an acknowledgement, over UDP. Default: true, confirmed. */
  confirmable?: boolean;
  /** How many proxies it may pass: 1 to 255 (RFC 8768). */
  hopLimit?: number;
  /** The server's name, where several have one address (Uri-Host). Default: that of the address, if it is a name. */
  uriHost?: string;
  /**
   * The server is a proxy, and is to ask this address, `coap://…` with path and query; the request's own path
   * is not sent then. For an address that isn't CoAP's, see `options`.
   */
  proxyUri?: string;
  /** The server is a proxy, and is to ask `uriHost` by this scheme, such as `coap`, for the request's path. */
  proxyScheme?: string;
  /** Options that have no name here, by their numbers. */
  options?: readonly CoapOption[];
  /** Told how far a block-wise transfer is, in bytes; `total` is null while unknown. */
  progress?: (done: number, total: number | null) => void;
}

/**
 * An option's number and its value: a text, bytes, or an unsigned integer of up to 32 bits
 * (`[65001, 'blue']`; `[35, 'http://example.org/']` is Proxy-Uri). Observe, Block1, Block2, Q-Block1, Q-Block2 and
 * OSCORE are the client's own, and `invalid-input`, as is a value that the option can't have.
 */
export type CoapOption = readonly [number: number, value: string | ArrayBufferView | number];

export interface CoapObserveOptions extends CoapRequestOptions {
  /** Ends the observation: its loop throws the signal's reason. */
  signal?: AbortSignal;
  /**
   * Ends the observation where nothing has come for so many milliseconds from its beginning: its loop throws
   * `timed-out`.
   */
  timeout?: number;
  /** Told why what came last may no longer be true, while the observation goes on. */
  stale?: (error: JackfieldError) => void;
}

export interface CoapResponse {
  /** Whether the code is of class 2. */
  ok: boolean;
  /** Such as `2.05`. */
  code: string;
  /** The code's name and, of a refusal, what the server adds: `Not Found`. */
  reason: string;
  payload: Uint8Array<ArrayBuffer>;
  /** The Content-Format's number; null if there is none. */
  format: number | null;
  /** For how long it may be taken to be true, in seconds. */
  maxAge: number;
  etag: Uint8Array<ArrayBuffer> | null;
  /** Where a POST has put what it made: path and query. */
  location: string | null;
  /** All options by their numbers, those above too, in that order. */
  options: [number: number, value: Uint8Array<ArrayBuffer>][];
  /** When it came, in milliseconds since 1970. */
  time: number;
  /** The payload as UTF-8. */
  text(): string;
  /** The payload as JSON. @throws {SyntaxError} if it is not JSON. */
  json(): unknown;
}

export interface CoapObservation extends AsyncDisposable, AsyncIterable<CoapResponse> {
  /** The next state, or null after the end. */
  next(options?: WaitOptions): Promise<CoapResponse | null>;
  /** Ends it. */
  cancel(): void;
}

export interface CoapGroupOptions {
  /**
   * The network to ask in, by an address that the relay has there. Default: the relay's system decides, as the
   * browser always does with Direct Sockets, where it is `unsupported`.
   */
  interface?: string;
  /** How to open a socket again after one was lost; false for never: then its loss ends the group. */
  reconnect?: ReconnectOptions | false;
}

/**
 * A group of CoAP servers. A question goes out once, and each member that has an answer sends it after a while of
 * its own choosing; who has none is silent.
 */
export interface CoapGroup extends Client {
  /** Resolves when there is a socket for the first time; rejects with the error that has ended it before. */
  readonly connected: Promise<void>;
  /** What the members have at a path; without one it is that of the group's address. */
  get(path?: string, options?: CoapGroupRequestOptions): CoapAnswers<CoapGroupResponse>;
  put(path: string, payload?: Body, options?: CoapGroupRequestOptions): CoapAnswers<CoapGroupResponse>;
  post(path: string, payload?: Body, options?: CoapGroupRequestOptions): CoapAnswers<CoapGroupResponse>;
  /**
   * Who is there, and what each offers: `/.well-known/core`, narrowed by a query such as `rt=temperature*`.
   *
   * ```js
   * const group = await network.coapGroup('coap://224.0.1.187');
   * for await (const { from, links } of group.discover()) {
   *   console.log(from, links.map(({ href }) => href));
   * }
   * ```
   */
  discover(query?: string, options?: CoapGroupRequestOptions): CoapAnswers<CoapGroupMember>;
  /** Ends it; answers are taken no longer. */
  close(options?: WaitOptions): Promise<void>;
}

export interface CoapGroupRequestOptions
  extends Omit<CoapRequestOptions, 'confirmable' | 'progress' | 'timeout'> {
  /** For how long answers are taken, in milliseconds. Default: 10,000; members wait for up to 5,000. */
  window?: number;
  /** Ends it: the loop throws the signal's reason. */
  signal?: AbortSignal;
}

/** Answers until the `window` is over. Leaving the loop ends it. */
export interface CoapAnswers<Answer> extends AsyncDisposable, AsyncIterable<Answer> {
  /** The next answer, or null after the last. */
  next(options?: WaitOptions): Promise<Answer | null>;
  /** Ends it. */
  cancel(): void;
}

/** The first answer of a member, the first block of it where it has several. */
export interface CoapGroupResponse extends CoapResponse {
  /** Whose it is, as `coap()` takes it: `coap://192.168.1.20:5683`. */
  from: string;
}

export interface CoapGroupMember extends CoapGroupResponse {
  /** Of one that can't be read, nothing is told. */
  links: CoapLink[];
}

/** A link of the CoRE Link Format (RFC 6690). */
export interface CoapLink {
  /** The target, as a path of this server or a whole address. */
  href: string;
  /** `rt`, resource types. */
  types: string[];
  /** `if`, interface descriptions. */
  interfaces: string[];
  /** `ct`, Content-Formats. */
  formats: number[];
  title: string | null;
  observable: boolean;
  /** `sz`, the estimated size in bytes. */
  size: number | null;
  /** All attributes as they stand; those without a value are empty. */
  attributes: [string, string][];
}
