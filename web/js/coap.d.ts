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

import type { BaseNetwork, Body, JackfieldError, OpenOptions, Security } from './common.js';

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
}

export interface CoapOptions {
  /** Protects requests end to end, through proxies too (RFC 8613). */
  oscore?: OscoreOptions;
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
export interface Coap extends AsyncDisposable {
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
   * cancels.
   */
  observe(path?: string, options?: CoapObserveOptions): CoapObservation;
  /** What the server offers: `/.well-known/core`, narrowed by a query such as `rt=temperature*`. */
  discover(query?: string, options?: CoapRequestOptions): Promise<CoapLink[]>;
  /** How long an empty question takes to be answered, in milliseconds. */
  ping(): Promise<number>;
  /** What stands between this page and the server; null while there is no connection. */
  readonly security: Security | null;
  /** Takes leave of the server, and ends; whatever waits fails as `closed`. */
  close(): Promise<void>;
}

export interface CoapRequestOptions {
  /** Aborts the request, and a transfer in the middle. */
  signal?: AbortSignal;
  /** The payload's Content-Format: its number or its media type. */
  format?: number | string;
  /** The Content-Formats that are welcome. */
  accept?: number | string;
  /** Only if the resource is still this one. */
  ifMatch?: Uint8Array;
  /** Only if there is no resource yet. */
  ifNoneMatch?: boolean;
  /** Sent without asking for an acknowledgement, over UDP. Default: true, confirmed. */
  confirmable?: boolean;
  /** Told how far a block-wise transfer is, in bytes; `total` is null while unknown. */
  progress?: (done: number, total: number | null) => void;
}

export interface CoapObserveOptions extends CoapRequestOptions {
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
  /** When it came, in milliseconds since 1970. */
  time: number;
  /** The payload as UTF-8. */
  text(): string;
  /** The payload as JSON. @throws {SyntaxError} if it is not JSON. */
  json(): unknown;
}

export interface CoapObservation extends AsyncDisposable, AsyncIterable<CoapResponse> {
  /** The next state, or null after the end. */
  next(): Promise<CoapResponse | null>;
  /** Ends it. */
  cancel(): void;
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
