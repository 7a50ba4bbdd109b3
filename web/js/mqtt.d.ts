/**
 * MQTT in a page: over TCP and TLS through Direct Sockets or a relay, and over the page's own WebSocket.
 *
 * ```js
 * import { open } from 'jackfield/mqtt';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * const broker = await network.mqtt('mqtts://broker.example.org');
 * for await (const message of broker.subscribe('kitchen/+')) {
 *   console.log(message.topic, message.text());
 * }
 * ```
 */

import type {
  BaseNetwork, Body, Client, JackfieldError, Missed, OpenOptions, ReconnectOptions, Security, Timed, WaitOptions,
} from './common.js';

export * from './common.js';

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network, for MQTT. */
export interface Network extends BaseNetwork {
  /**
   * An MQTT client. It connects at once, and again whenever the connection is lost, until `close()`.
   *
   * @param url `mqtts://host` (port 8883) and `mqtt://host` (1883, not encrypted) through this
   *   network; `wss://host/mqtt` and `ws://host/mqtt` over the page's own WebSocket, for brokers
   *   that offer it; without a path, `/mqtt` is taken.
   * @throws {JackfieldError} `invalid-input` for a value that can't be sent, with its name.
   */
  mqtt(url: string | URL, options?: MqttOptions): Promise<Mqtt>;
}

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
  /** How to connect again after a connection was lost; false for never: then its loss ends the client. */
  reconnect?: ReconnectOptions | false;
  /**
   * Keeps the session in this origin's IndexedDB, under this name: messages in flight outlive the
   * tab, and are finished by the next one that opens the same name. One tab at a time can; another
   * one waits two seconds for it to go, and is told `in-use` then.
   */
  store?: string;
  /** Whatever this client and the broker agree on, told when it connects. Version 5. */
  userProperties?: readonly (readonly [string, string])[];
  /**
   * How many messages of QoS 1 and 2 the broker may send before they are acknowledged: 1 to 65,535.
   * Default: 1,000. Version 5.
   */
  receiveMaximum?: number;
  /**
   * The largest packet that the broker may send, in bytes; it keeps larger messages to itself. Default:
   * 1,048,576. With 3.1.1, a larger one ends the connection.
   */
  maximumPacketSize?: number;
  /** How many topics the broker may abbreviate: 0 to 65,535. Default: 16. Version 5. */
  topicAliasMaximum?: number;
  /** How to authenticate, beside or in place of user name and password. Version 5. */
  authentication?: MqttAuthentication;
  /** Messages wait for `acknowledge()`. Default: false, acknowledged when they are taken. */
  manualAcknowledgement?: boolean;
}

/**
 * Enhanced authentication (MQTT 5, section 4.12): the method's steps are a page's function.
 *
 * ```js
 * const broker = await network.mqtt('mqtts://broker.example.org', {
 *   authentication: {
 *     method: 'K8S-SAT',
 *     step: async () => (await fetch('/token')).text(),
 *   },
 * });
 * ```
 */
export interface MqttAuthentication {
  /** The method's name, as the broker knows it, such as `SCRAM-SHA-256`. */
  method: string;
  /**
   * Gives what is sent to the broker, if anything: with null, before each attempt to connect and at
   * `reauthenticate()`, what the method begins with; else the answer to what the broker has sent. If it fails at
   * the beginning, so does the attempt; if it fails later, the broker is answered without data, and refuses.
   */
  step: (
    heard: Uint8Array<ArrayBuffer> | null,
  ) => string | Uint8Array | undefined | null | Promise<string | Uint8Array | undefined | null>;
}

/** A message that the broker publishes in a client's place. What only version 5 has is not sent with 3.1.1. */
export interface MqttWill extends MqttPublishOptions {
  topic: string;
  payload?: Body;
  /** How long the client may be away before, in seconds. Default: 0. Version 5. */
  delay?: number;
}

/**
 * An MQTT client. Iterating takes its events, for one reader at a time; leaving the loop leaves the client open.
 * While a loop is slow, the broker is held back, so that memory stays bounded; and so it is between two calls of
 * `next()`. A page that publishes, subscribes or asks need not read them: while it doesn't, the newest 256 are kept for
 * the next reader, who is told of those that it has missed. Messages of a subscription come to its own loop.
 */
export interface Mqtt extends Client, AsyncIterable<MqttEvent> {
  /** Resolves when the broker has let the client in for the first time; rejects with the error that has ended it before. */
  readonly connected: Promise<void>;
  /**
   * The next event, or null after the end. One that is not waited for any more is what the next call gives.
   *
   * @throws {JackfieldError} `in-use` while another call or a loop waits.
   */
  next(options?: WaitOptions): Promise<MqttEvent | null>;
  /**
   * Publishes; settles when the delivery is complete: with QoS 0 when it is sent, with 1 and 2 when
   * the broker has confirmed it. Also while there is no connection: then it is kept until there is
   * one. What is given up by a signal or a time-out stays in the queue once it is there, and is delivered all the
   * same.
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
  published(options?: WaitOptions): Promise<number>;
  /**
   * Subscribes, now and after each reconnection that lost the session. Iterating the result takes
   * its messages; leaving the loop unsubscribes, and so does the option `signal` at any time. If the broker
   * refuses, the loop throws: of several filters it has to grant each, else there is a subscription to none.
   * Subscribing at once, before anything is waited for, gets what the broker has kept for the session
   * as well, in its order; later, that comes as events.
   */
  subscribe(filter: string | readonly string[], options?: MqttSubscribeOptions): MqttSubscription;
  /** Asks, and waits for the answer that correlates. Version 5. */
  request(topic: string, payload?: Body, options?: MqttRequestOptions): Promise<MqttMessage>;
  /**
   * Authenticates again on this connection, with `authentication`; settles when the broker has accepted.
   *
   * @throws {JackfieldError} `invalid-input` without `authentication`, or while one goes on; `closed` while
   *   there is no connection; `reset` where the broker refuses, and closes it.
   */
  reauthenticate(options?: WaitOptions): Promise<void>;
  /**
   * Takes leave of the broker, which publishes no will, unless `will` says to publish it all the same
   * (version 5). What is queued is not waited for; with a `store`, the next client sends it. The events
   * end when it is done.
   */
  close(options?: MqttCloseOptions): Promise<void>;
}

export interface MqttCloseOptions extends WaitOptions {
  /** Whether the broker publishes the will all the same. Version 5. */
  will?: boolean;
}

/** A message on its way: the promise is its delivery. */
export interface MqttPublication extends Promise<MqttReply> {
  /** Settles when the message is queued, and durable where there is a `store`: it outlives the tab. */
  readonly queued: Promise<void>;
}

export interface MqttPublishOptions extends WaitOptions {
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
  /** Ends the subscription, whether granted or not: its loop throws the signal's reason. */
  signal?: AbortSignal;
  /** How long the broker may take to agree, in milliseconds. Default: as long as it takes. */
  timeout?: number;
  /** The most that messages come with. Default: 1. */
  qos?: 0 | 1 | 2;
  /** Leaves out what this client publishes. Version 5. */
  noLocal?: boolean;
  /** Which kept messages come first. Default: `always`. Version 5. */
  retained?: 'always' | 'new' | 'never';
  /** Told to the broker. Version 5. */
  userProperties?: readonly (readonly [string, string])[];
}

/** What the other side said. */
export interface MqttReply {
  /** The reason code: below 128 for success. Version 3.1.1 knows only 0 and, for QoS, 0 to 2. */
  code: number;
  /** The code's name, and what the broker adds. */
  reason: string;
}

/** The messages of one filter, or of several, in the order in which the broker sends them. */
export interface MqttSubscription extends AsyncDisposable, AsyncIterable<MqttMessage> {
  readonly filters: readonly string[];
  /** Settles when the broker has agreed; fails if it refuses. */
  readonly granted: Promise<void>;
  /** The next message, or null after the end. */
  next(options?: WaitOptions): Promise<MqttMessage | null>;
  unsubscribe(options?: WaitOptions): Promise<MqttReply>;
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
  acknowledge(code?: number, options?: WaitOptions): Promise<void>;
}

/** What happens. Events of types that are not listed here may come with later versions. */
export type MqttEvent = Timed &
  (
    | Missed
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
    | { type: 'message'; message: UnexpectedMqttMessage }
  );

/** A message of an event: for whom it may have been meant. */
export interface UnexpectedMqttMessage extends MqttMessage {
  /** The numbers of the subscriptions that it comes for, as whoever made them gave them. Version 5. */
  subscriptionIdentifiers: number[];
}
