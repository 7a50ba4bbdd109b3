/**
 * What all entries of Jackfield share: how to reach the network, what is sent, and what goes wrong.
 */

/** How to reach the network. */
export interface OpenOptions {
  /**
   * The WebSocket address of a relay, `wss://…`. Needed where there are no Direct Sockets, that is,
   * anywhere but in an Isolated Web App; not for servers that speak WebSocket themselves.
   */
  relay?: string | URL;
  /** What the relay's owner gave you, to be let in. */
  token?: string;
  /**
   * The certificates, in PEM, that servers are verified against, in place of Mozilla's list.
   * There is no way not to verify.
   */
  roots?: string;
  /**
   * What servers are known by in place of roots and name: the SHA-256 of the very certificate
   * (`certificate:3D:CF:49:…`, the fingerprint that browsers show) or of its key (`key:` and Base64).
   * The way to a broker or a device with a certificate of its own making: the error of one that was
   * refused tells both pins. With any pins, only servers that match one of them are accepted; not
   * together with `roots`, and not for `wss` and `coaps+ws`, where the browser itself speaks TLS.
   */
  pins?: readonly string[];
}

/** Where the module comes from: its address, a `Response` with it, its bytes, or the compiled module. */
export type ModuleSource = string | URL | Response | BufferSource | WebAssembly.Module;

/**
 * Loads the WebAssembly module, which `open()` does by itself. For where it doesn't find it: a bundler that
 * copies no files, a service worker that has it compiled, a page without network. Loaded is loaded:
 * another source changes nothing then.
 *
 * @throws {JackfieldError} `other`, with the cause, where it can't be loaded; `unsupported` without a source
 *   where there is neither a page nor a worker.
 */
export function load(source?: ModuleSource): Promise<void>;

/** A way to the network: what each entry's `Network` has. */
export interface BaseNetwork {
  /**
   * Which way was taken. Null where there are neither Direct Sockets nor a relay: then only servers
   * that speak WebSocket themselves can be reached (`ws:`, `wss:`, `coap+ws:`, `coaps+ws:`), and
   * everything else is `unsupported`.
   */
  readonly kind: 'direct' | 'relay' | null;
}

/** What stands between this page and the server. */
export interface Security {
  /** The server's address, where it is known. */
  peer?: string;
  /** Missing where the connection is not encrypted, and where the browser itself speaks TLS. */
  tls?: {
    /** `TLS 1.3` or `TLS 1.2`. */
    version: string;
    cipherSuite: string;
    /** The server's certificate in DER, verified. */
    certificate: Uint8Array<ArrayBuffer>;
  };
  /** The page's own WebSocket: with `wss` the browser speaks TLS, and tells nothing of it. */
  webSocket?: 'ws' | 'wss';
}

/**
 * What is sent: a text as UTF-8; of a typed array or a `DataView` its bytes, as they are in memory. A Blob or
 * a stream is read first, and held in memory as a whole.
 */
export type Body = string | ArrayBufferView | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/** When it happened, in milliseconds since 1970: as the server says, else when it arrived. */
export interface Timed {
  time: number;
}

/** What sort of thing went wrong. */
export type ErrorKind =
  | 'invalid-input'
  | 'unsupported'
  | 'host-not-found'
  | 'refused'
  | 'unreachable'
  | 'denied'
  | 'timed-out'
  | 'reset'
  | 'unexpected-eof'
  | 'closed'
  | 'address-in-use'
  | 'address-not-available'
  | 'limit-exceeded'
  | 'certificate'
  | 'tls-refused'
  | 'protocol'
  | 'nickname'
  | 'authentication'
  | 'in-use'
  | 'storage'
  | 'other';

/** Every error of this package: `kind` for programs, `message` for people. */
export class JackfieldError extends Error {
  constructor(kind: ErrorKind, message: string, options?: ErrorOptions);
  readonly name: 'JackfieldError';
  readonly kind: ErrorKind;
  /** The reason code, where an MQTT broker refused something. */
  readonly code?: number;
  /**
   * What pins the server's certificate that was refused, for `pins` of `open()`. **Nobody has vouched
   * for it**: whoever passes it has compared it with what the device shows, or asked a user to.
   */
  readonly certificatePin?: string;
  /** The same for the certificate's key, which stays when the certificate is renewed; if it can be read. */
  readonly keyPin?: string;
}
