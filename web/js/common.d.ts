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
  /**
   * What the relay's owner gave you, to be let in; or a function that gives it: for a token that is good for some
   * minutes, which your back end makes. It is called before each opening of a connection to the relay, once for all
   * that waits for it: first when something is opened over this network, and again when the connection has ended and
   * something is opened anew. And it is called two minutes before the token ends, or when half of its time is over if that
   * comes later, while something is open: that goes on by the next token, which has to be of the same bearer (`sub`). Where
   * none comes in time, or the relay takes none, what is open is lost with the token, as `reset` with the `relayCode`
   * `token-expired`, and clients that connect again by themselves go on.
   *
   * Where it throws at an opening, the attempt fails as `other` (`where` is `relay`), with what was thrown as its `cause`, and a client
   * asks again with its next attempt. A `JackfieldError` of the kind `denied` is for who shall have no token any more, after
   * logging out, say: clients end by it, and tell its message. What is no token is `invalid-input`, and no answer within
   * 10 seconds `timed-out`. For the next token it is called again after 5 seconds, as long as the last one is good; not
   * after `denied`.
   */
  token?: string | (() => string | Promise<string>);
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
  /** What may be reached. Default: whatever the browser and the relay let be reached. */
  policy?: Policy;
}

/**
 * What may be reached, and where may be listened: nothing but what its rules allow. It holds for what goes over the
 * network, WebSockets to servers included, and not for the way to the relay. What it refuses is `denied` with
 * `where: 'policy'`, and nothing was sent for it.
 *
 * A rule is `HOST:PORTS`, as in a relay's configuration. The host is a name, `*.example.org` for all names below one,
 * an address, a network such as `192.0.2.0/24` or `[2001:db8::/32]`, or `*` for every public host. The ports are
 * `993`, `443,8000-8100`, or `*` for all. `/tcp` or `/udp` behind it is for streams or datagrams alone: without
 * either, what is allowed is for streams, and what is denied for both.
 *
 * Loopback, private and all other special-purpose addresses must be listed by their network (`192.168.0.0/16:*`;
 * a name or `*` doesn't open them), and so must port 25 by its number. A name is allowed by rules for names alone,
 * since who looks it up is the relay or the system; where that tells in the end which address it was, that is held
 * to the rules too, before a byte of the page's is sent.
 */
export interface Policy {
  /** What may be reached. Default: nothing. */
  allow?: readonly string[];
  /**
   * Allows the host of this page's origin and all names below it, at any port, besides. A page of `www.example.org`
   * reaches `a.www.example.org`, and neither `example.org` nor `mail.example.org`. Default: false.
   */
  sameDomain?: boolean;
  /** What may not be reached though it is allowed. A denied name is denied by that name alone. */
  deny?: readonly string[];
  /** Where may be listened, and (with `/udp`) bound: an address or a network, and ports. Default: nowhere. */
  listen?: readonly string[];
  /**
   * Is asked before each opening that the rules allow, reconnections too: for a prompt. No name is looked up and
   * nothing is sent before it has answered `true`. Anything else denies, and so does an error, which becomes the reason.
   */
  ask?: (request: PolicyRequest & { readonly signal: AbortSignal }) => boolean | Promise<boolean>;
  /**
   * Reaches what the rules refuse too, and is told of it: for trying rules out. It is told once of each opening, and of
   * each peer of a bound socket. What must be listed by itself stays refused, and so does a place to listen.
   */
  report?: (refused: PolicyRefusal) => void;
}

/** What is about to be opened. The `signal` of one that is asked about is aborted when nobody waits for the answer any more. */
export interface PolicyRequest {
  /** To connect to there, to listen there, or to bind a datagram socket there. */
  readonly action: 'connect' | 'listen' | 'bind';
  readonly transport: 'tcp' | 'udp';
  /** As it was asked for: a name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** What would be refused. */
export interface PolicyRefusal extends PolicyRequest {
  /** Why, for people: `no rule allows it`. */
  readonly reason: string;
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
export interface BaseNetwork extends AsyncDisposable {
  /**
   * Which way was taken. Null where there are neither Direct Sockets nor a relay: then only servers
   * that speak WebSocket themselves can be reached (`ws:`, `wss:`, `coap+ws:`, `coaps+ws:`), and
   * everything else is `unsupported`.
   */
  readonly kind: 'direct' | 'relay' | null;
  /**
   * Closes what was opened over it, in order, and then the WebSocket to the relay. What is asked of it afterwards is
   * `closed`.
   */
  close(): Promise<void>;
}

/** How long to wait: every method that waits takes these in its last argument. */
export interface WaitOptions {
  /**
   * Gives up when it is aborted: the promise rejects with the signal's reason. Where it is aborted already,
   * nothing is sent. Else it may have been sent, and may be done by the server all the same; its outcome is
   * discarded.
   */
  signal?: AbortSignal;
  /**
   * Gives up after so many milliseconds, up to 2,147,483,647: the promise rejects as `timed-out`, and the same
   * holds as for `signal`. Default: as long as it takes.
   */
  timeout?: number;
}

/**
 * How long to wait before the next attempt to connect, in milliseconds, at least 1: at first, and at most. It
 * doubles in between, less up to half by chance.
 */
export interface ReconnectOptions {
  /** Default: 2 seconds. */
  first?: number;
  /** Default: 5 minutes. */
  longest?: number;
}

/**
 * Where a client's connection stands: `connecting` until the protocol is ready, `connected` from then on, `waiting`
 * for the next attempt after one that failed or a connection that was lost, and in the end `closed`.
 */
export type ClientState = 'connecting' | 'connected' | 'waiting' | 'closed';

/**
 * What every client has. It connects at once, and again whenever the connection is lost, until it is closed, or
 * until an error that the next attempt would meet as well: then everything that is asked of it fails with that
 * error.
 *
 * The state and the promises are told whether or not the client's events are read. A client that the page keeps no
 * reference to, directly or in a loop that is running, is closed when the browser finds that out.
 */
export interface Client extends AsyncDisposable {
  readonly state: ClientState;
  /** Resolves when the client has ended in order; rejects with the error that has ended it. */
  readonly closed: Promise<void>;
  /**
   * Ends the wait for the next attempt to connect, where the client is `waiting`; else nothing happens. It is done
   * by itself when the browser comes online, and when the page is shown again.
   */
  reconnectNow(): void;
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

/** So many events went by while nobody read any. */
export interface Missed {
  type: 'missed';
  count: number;
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
  | 'not-found'
  | 'outcome-unknown'
  | 'authentication'
  | 'in-use'
  | 'storage'
  | 'other';

/** What a relay has refused, or why it has ended. */
export type RelayCode =
  /** Its rules allow no such host, address or port. */
  | 'policy'
  /** One of its limits; the message names it. */
  | 'limit'
  /** It is being shut down, or restarted. */
  | 'going-away'
  /** Pages of this origin may not use it. */
  | 'origin-refused'
  /** It doesn't go by the host name in its address. */
  | 'host-unknown'
  /** It is not at the path in its address. */
  | 'path-unknown'
  /** It asks for a token, and none was given to `open()`. */
  | 'token-missing'
  /** It doesn't know the token. */
  | 'token-unknown'
  /** The token was good once: `open()` again, with a fresh one. With a function for it, the next attempt asks for one. */
  | 'token-expired'
  /** It serves as many clients as it may. */
  | 'relay-full'
  /** As many clients have come with the token as may. */
  | 'token-full';

/** What an error is made with. */
export interface JackfieldErrorOptions extends ErrorOptions {
  /** Default: where errors of the kind arise. */
  where?: JackfieldError['where'] | undefined;
}

/**
 * Every error of this package: `kind`, `where` and `relayCode` for programs, `message` for people.
 *
 * A request that was lost with its connection tells that, and where it was lost; why tells the client's
 * `disconnected`.
 */
export class JackfieldError extends Error {
  constructor(kind: ErrorKind, message: string, options?: JackfieldErrorOptions);
  readonly name: 'JackfieldError';
  readonly kind: ErrorKind;
  /**
   * Who can do something about it: whoever wrote or uses this page (what was asked for, the browser, the
   * device), whoever has set the rules that it is held to (`policy` of `open()`, or `restrict()`), whoever runs the
   * relay (or gave the address and the token for it), or whoever runs the server and the network before it.
   */
  readonly where: 'page' | 'policy' | 'relay' | 'server';
  /** What the relay said, where it has refused something or ended the connection. */
  readonly relayCode?: RelayCode;
  /** What is behind it: an `Error` with a cause of its own, or what was thrown. Missing where nothing is. */
  readonly cause?: unknown;
  /** The reason code where an MQTT broker refused something, the reply's where an SMTP server did. */
  readonly code?: number;
  /**
   * What pins the server's certificate that was refused, for `pins` of `open()`. **Nobody has vouched
   * for it**: whoever passes it has compared it with what the device shows, or asked a user to.
   */
  readonly certificatePin?: string;
  /** The same for the certificate's key, which stays when the certificate is renewed; if it can be read. */
  readonly keyPin?: string;
}
