/**
 * Jackfield for web pages: protocol clients over TCP and UDP, in any page.
 *
 * A chat:
 *
 * ```js
 * import { open } from './jackfield/jackfield.js';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * const irc = await network.irc('ircs://irc.example.org', { nick: 'ada', channels: ['#rust'] });
 * for await (const event of irc) {
 *   if (event.type === 'message') console.log(event.from, event.text);
 * }
 * ```
 *
 * A live topic:
 *
 * ```js
 * const broker = await network.mqtt('mqtts://broker.example.org');
 * for await (const message of broker.subscribe('kitchen/+')) {
 *   console.log(message.topic, message.text());
 * }
 * ```
 *
 * An observed sensor, and a lamp:
 *
 * ```js
 * const device = await network.coap('coap://192.168.1.20');
 * await device.put('/light', 'on');
 * for await (const reading of device.observe('/temperature')) {
 *   console.log(reading.text());
 * }
 * ```
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

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

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

/** A way to the network. */
export interface Network {
  /**
   * Which way was taken. Null where there are neither Direct Sockets nor a relay: then only servers
   * that speak WebSocket themselves can be reached (`ws:`, `wss:`, `coap+ws:`, `coaps+ws:`), and
   * everything else is `unsupported`.
   */
  readonly kind: 'direct' | 'relay' | null;
  /**
   * An IRC client. It connects as soon as its events are asked for, and again whenever the
   * connection is lost, until `close()`.
   *
   * @param url `ircs://host` (port 6697), or `irc://host` (6667, not encrypted).
   * @throws {JackfieldError} `invalid-input` for a value that can't be sent, with its name.
   */
  irc(url: string | URL, options: IrcOptions): Promise<Irc>;
  /**
   * An MQTT client. It connects at once, and again whenever the connection is lost, until `close()`.
   *
   * @param url `mqtts://host` (port 8883) and `mqtt://host` (1883, not encrypted) through this
   *   network; `wss://host/mqtt` and `ws://host/mqtt` over the page's own WebSocket, for brokers
   *   that offer it; without a path, `/mqtt` is taken.
   * @throws {JackfieldError} `invalid-input` for a value that can't be sent, with its name.
   */
  mqtt(url: string | URL, options?: MqttOptions): Promise<Mqtt>;
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

/** As whom to come, and where to be. */
export interface IrcOptions {
  nick: string;
  /** Default: the nickname. */
  username?: string;
  /** Default: the nickname. */
  realname?: string;
  /** Signs in with SASL, by SCRAM where the server has it, else PLAIN; without TLS that is refused. */
  sasl?: { account: string; password: string };
  /** Channels to join, now and after each reconnection. */
  channels?: readonly string[];
}

/**
 * An IRC client. Iterating takes its events one by one; while nobody takes them, nothing is read
 * from the server either, so that memory stays bounded.
 */
export interface Irc extends AsyncDisposable, AsyncIterable<IrcEvent> {
  /** The next event, or null after the end. Ask again only when the last promise has settled. */
  next(): Promise<IrcEvent | null>;
  join(channel: string, key?: string): Promise<void>;
  part(channel: string, reason?: string): Promise<void>;
  /** Sends a message; what is too long for one line is sent in several. */
  say(target: string, text: string): Promise<void>;
  /** Sends a `/me`. */
  action(target: string, text: string): Promise<void>;
  notice(target: string, text: string): Promise<void>;
  /** A channel's topic; null where it has none. */
  topic(channel: string): Promise<string | null>;
  /** Changes a channel's topic; an empty one removes it. */
  setTopic(channel: string, topic: string): Promise<void>;
  setNick(nick: string): Promise<void>;
  /** Away with a reason, back without one. */
  setAway(reason?: string): Promise<void>;
  /**
   * Takes leave of the server, with a reason for others to read; the events end once it has closed,
   * or after 5 s.
   */
  close(reason?: string): Promise<void>;
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

/** Someone in a channel. */
export interface Member {
  nick: string;
  /** The signs of their rank, highest first, such as `@` and `+`. */
  prefix: string;
  away: boolean;
}

/** When it happened, in milliseconds since 1970: as the server says, else when it arrived. */
interface Timed {
  time: number;
}

/** What happens. Events of types that are not listed here may come with later versions. */
export type IrcEvent = Timed &
  (
    | { type: 'connecting' }
    | { type: 'connected'; security: Security }
    | { type: 'registered'; nick: string; network: string; security: Security }
    /** `retryIn` is in milliseconds; null where trying again can't help: then the events end. */
    | { type: 'disconnected'; error: JackfieldError; retryIn: number | null }
    | {
        type: 'message';
        from: string;
        target: string;
        text: string;
        /** Said by us, here or in another client. */
        self: boolean;
        /** A `/me`. */
        action: boolean;
        notice: boolean;
        /** Said by the server itself. */
        server: boolean;
      }
    | { type: 'join'; nick: string; channel: string; self: boolean }
    | { type: 'part'; nick: string; channel: string; reason: string; self: boolean }
    | { type: 'kick'; nick: string; channel: string; reason: string; by: string; self: boolean }
    | { type: 'quit'; nick: string; reason: string }
    | { type: 'nick'; from: string; to: string; self: boolean }
    /** `by` is empty where the topic was set before we came. */
    | { type: 'topic'; channel: string; topic: string; by: string }
    /** Everyone in a channel. What changes afterwards comes in events of its own. */
    | { type: 'members'; channel: string; members: Member[] }
    /** A member's rank is another now. */
    | { type: 'rank'; channel: string; nick: string; prefix: string }
    /** Someone went away, or came back. */
    | { type: 'away'; nick: string; away: boolean }
    | { type: 'mode'; target: string; modes: string; by: string }
    /** The server refused something; `about` is a channel or a nickname, or empty. */
    | { type: 'fault'; text: string; about: string }
    /** The server says something to whoever likes to read it. */
    | { type: 'info'; text: string }
    | { type: 'lag'; milliseconds: number }
  );

/** How an MQTT client connects, and what it keeps. */
export interface MqttOptions {
  /** Default: `5`. With `3.1.1`, what only version 5 has is refused as `unsupported`. */
  version?: '5' | '3.1.1';
  /** Default: a random one. A session that is to be found again needs one of its own. */
  clientId?: string;
  username?: string;
  password?: string | Uint8Array;
  /**
   * Asked before each attempt to connect, for credentials that expire. What it returns replaces
   * `username` and `password`; if it fails, so does the attempt.
   */
  renew?: () => Promise<{ username?: string; password?: string | Uint8Array }>;
  /** What the broker publishes for this client once it is gone without a word. */
  will?: MqttWill;
  /**
   * Whether each connection begins with an empty session. Default: the first one does, unless
   * `store` has the session; false takes over what the broker has kept for this name all the same.
   */
  cleanStart?: boolean;
  /**
   * For how long the broker keeps the session after the connection is lost, in seconds; `Infinity`
   * for always. Default: 0 without `store`, else a day.
   */
  sessionExpiry?: number;
  /** The longest silence, in seconds; 0 for any. Default: 60. */
  keepAlive?: number;
  /**
   * How long to wait before the next attempt to connect, in milliseconds: at first, and at most. It
   * doubles in between, less up to half by chance. Default: 2 seconds, and 5 minutes.
   */
  reconnect?: { first?: number; longest?: number };
  /**
   * Keeps the session in this origin's IndexedDB, under this name: messages in flight outlive the
   * tab, and are finished by the next one that opens the same name. One tab at a time can; another
   * one waits two seconds for it to go, and is told `in-use` then.
   */
  store?: string;
  /** Messages wait for `acknowledge()`. Default: false, acknowledged when they are taken. */
  manualAcknowledgement?: boolean;
}

/** A message that the broker publishes in a client's place. */
export interface MqttWill {
  topic: string;
  payload?: Body;
  qos?: 0 | 1 | 2;
  retain?: boolean;
  /** How long the client may be away before, in seconds. Default: 0. Version 5. */
  delay?: number;
}

/**
 * What is sent: a text as UTF-8; of a typed array or a `DataView` its bytes, as they are in memory. A Blob or
 * a stream is read first, and held in memory as a whole.
 */
export type Body = string | ArrayBufferView | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/**
 * An MQTT client. Iterating takes its events. While nobody takes events or messages, the broker is
 * held back, so that memory stays bounded: keep a loop going for each.
 */
export interface Mqtt extends AsyncDisposable, AsyncIterable<MqttEvent> {
  /** The next event, or null after the end. Ask again only when the last promise has settled. */
  next(): Promise<MqttEvent | null>;
  /**
   * Publishes; settles when the delivery is complete: with QoS 0 when it is sent, with 1 and 2 when
   * the broker has confirmed it. Also while there is no connection: then it is kept until there is
   * one.
   *
   * @throws {JackfieldError} `refused` with the broker's reason, `limit-exceeded` when too much
   *   waits, `invalid-input` for a topic that can't be one.
   */
  publish(topic: string, payload?: Body, options?: MqttPublishOptions): MqttPublication;
  /**
   * How many messages of QoS 1 and 2 the session has ever taken to send, those of earlier tabs with
   * the same `store` included. The count is stored together with the message: a page that numbers
   * its messages knows, after a crash, which was the last that the session has. It goes on with the
   * next, and sends none twice and leaves none out.
   *
   * ```js
   * const broker = await network.mqtt('mqtts://broker.example.org', { clientId: 'meter', store: 'meter' });
   * for (const reading of readings.slice(await broker.published())) {
   *   await broker.publish('meter/reading', reading, { qos: 2 }).queued;
   * }
   * ```
   */
  published(): Promise<number>;
  /**
   * Subscribes, now and after each reconnection that lost the session. Iterating the result takes
   * its messages; leaving the loop unsubscribes. If the broker refuses, the loop throws.
   * Subscribing at once, before anything is waited for, gets what the broker has kept for the session
   * as well, in its order; later, that comes as events.
   */
  subscribe(filter: string, options?: MqttSubscribeOptions): MqttSubscription;
  /** Asks, and waits for the answer that correlates. Version 5. */
  request(topic: string, payload?: Body, options?: MqttRequestOptions): Promise<MqttMessage>;
  /**
   * Takes leave of the broker, which publishes no will, unless `will` says to publish it all the same
   * (version 5). What is queued is not waited for; with a `store`, the next client sends it. The events
   * end when it is done.
   */
  close(options?: { will?: boolean }): Promise<void>;
}

/** A message on its way: the promise is its delivery. */
export interface MqttPublication extends Promise<MqttReply> {
  /** Settles when the message is queued, and durable where there is a `store`: it outlives the tab. */
  readonly queued: Promise<void>;
}

export interface MqttPublishOptions {
  /** 0 at most once, 1 at least once, 2 exactly once. Default: 0. */
  qos?: 0 | 1 | 2;
  /** Kept by the broker for those who subscribe later. An empty payload removes what is kept. */
  retain?: boolean;
  /** How long it is worth delivering, in seconds. Version 5. */
  expiry?: number;
  /** A media type. Version 5. */
  contentType?: string;
  /** Version 5. */
  userProperties?: readonly (readonly [string, string])[];
  responseTopic?: string;
  correlationData?: Uint8Array;
}

export interface MqttRequestOptions extends MqttPublishOptions {
  /** Default: 30 seconds, in milliseconds. */
  timeout?: number;
}

export interface MqttSubscribeOptions {
  /** The most that messages come with. Default: 1. */
  qos?: 0 | 1 | 2;
  /** Leaves out what this client publishes. Version 5. */
  noLocal?: boolean;
  /** Which kept messages come first. Default: `always`. Version 5. */
  retained?: 'always' | 'new' | 'never';
}

/** What the other side said. */
export interface MqttReply {
  /** The reason code: below 128 for success. Version 3.1.1 knows only 0 and, for QoS, 0 to 2. */
  code: number;
  /** The code's name, and what the broker adds. */
  reason: string;
}

/** The messages of one filter. */
export interface MqttSubscription extends AsyncDisposable, AsyncIterable<MqttMessage> {
  readonly filter: string;
  /** Settles when the broker has agreed; fails if it refuses. */
  readonly granted: Promise<void>;
  /** The next message, or null after the end. */
  next(): Promise<MqttMessage | null>;
  unsubscribe(): Promise<MqttReply>;
}

export interface MqttMessage {
  topic: string;
  payload: Uint8Array<ArrayBuffer>;
  qos: 0 | 1 | 2;
  /** It was kept by the broker, and says how things stood when this page subscribed. */
  retained: boolean;
  /** It may have come before: QoS 1 after a reconnection. */
  duplicate: boolean;
  /**
   * Grows over the session's life. A message that is delivered again after a restart has the same
   * number, so that remembering the last one handled is enough to handle each once. Null with QoS 0.
   */
  serial: number | null;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array<ArrayBuffer>;
  userProperties: [string, string][];
  /** When it came, in milliseconds since 1970. */
  time: number;
  /** The payload as UTF-8. */
  text(): string;
  /** The payload as JSON. @throws {SyntaxError} if it is not JSON. */
  json(): unknown;
  /** With `manualAcknowledgement`: done with it; `code` refuses it (128 and more, version 5). */
  acknowledge(code?: number): Promise<void>;
}

/** What happens. Events of types that are not listed here may come with later versions. */
export type MqttEvent = Timed &
  (
    | { type: 'connecting' }
    | {
        type: 'connected';
        security: Security;
        /** The broker had kept the session: nothing that was meant for it is lost. */
        sessionPresent: boolean;
        /** As it is in force, in case the broker changed it. */
        clientId: string;
      }
    /** `retryIn` is in milliseconds; null where trying again can't help: then the events end. */
    | { type: 'disconnected'; error: JackfieldError; retryIn: number | null }
    /** The broker had lost the session, and did not take this subscription again. */
    | { type: 'unsubscribed'; filter: string; code: number; reason: string }
    /** A message that none of this page's subscriptions takes, such as a kept session's. */
    | { type: 'message'; message: MqttMessage }
  );

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
