/**
 * Jackfield for web pages: protocol clients over TCP, in any page.
 *
 * ```js
 * import { open } from './jackfield/jackfield.js';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * const irc = await network.irc({ host: 'irc.example.org', nick: 'ada', channels: ['#rust'] });
 * for await (const event of irc) {
 *   if (event.type === 'message') console.log(event.from, event.text);
 * }
 * ```
 */

/** How to reach the network. */
export interface OpenOptions {
  /**
   * The WebSocket address of a relay, `wss://…`. Needed where there are no Direct Sockets, that is,
   * anywhere but in an Isolated Web App.
   */
  relay?: string;
  /** What the relay's owner gave you, to be let in. */
  token?: string;
  /**
   * The certificates, in PEM, that servers are verified against, in place of Mozilla's list.
   * There is no way not to verify.
   */
  roots?: string;
}

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address that can't be one, `unsupported` where
 *   there are neither Direct Sockets nor a relay.
 */
export function open(options: OpenOptions): Promise<Network>;

/** A way to the network. */
export interface Network {
  /** Which way was taken. */
  readonly kind: 'direct' | 'relay';
  /**
   * An IRC client. It connects as soon as its events are asked for, and again whenever the
   * connection is lost, until `quit()` or `close()`.
   *
   * @throws {JackfieldError} `invalid-input` for a value that can't be sent, with its name.
   */
  irc(options: IrcOptions): Promise<Irc>;
}

/** Where to, and as whom. */
export interface IrcOptions {
  host: string;
  /** Default: 6697 with TLS, 6667 without. */
  port?: number;
  /** TLS from this page to the server. Default: true. */
  tls?: boolean;
  nick: string;
  /** Default: the nickname. */
  username?: string;
  /** Default: the nickname. */
  realname?: string;
  /** Signs in with SASL PLAIN; without TLS that is refused. */
  sasl?: { account: string; password: string };
  /** Channels to join, now and after each reconnection. */
  channels?: readonly string[];
}

/**
 * An IRC client. Iterating takes its events one by one; while nobody takes them, nothing is read
 * from the server either, so that memory stays bounded.
 */
export interface Irc extends AsyncIterable<IrcEvent> {
  /** The next event, or null after the end. Ask again only when the last promise has settled. */
  next(): Promise<IrcEvent | null>;
  join(channel: string, key?: string): Promise<void>;
  part(channel: string, reason?: string): Promise<void>;
  /** Sends a message; what is too long for one line is sent in several. */
  say(target: string, text: string): Promise<void>;
  /** Sends a `/me`. */
  action(target: string, text: string): Promise<void>;
  notice(target: string, text: string): Promise<void>;
  topic(channel: string, topic: string): Promise<void>;
  nick(nick: string): Promise<void>;
  /** Away with a reason, back without one. */
  away(reason?: string): Promise<void>;
  /** Says goodbye; the events end once the server has closed. */
  quit(reason?: string): Promise<void>;
  /** Closes at once. */
  close(): void;
}

/** What stands between this page and the server. */
export interface Security {
  /** The server's address, where it is known. */
  peer?: string;
  /** Missing where the connection is not encrypted. */
  tls?: {
    /** `TLS 1.3` or `TLS 1.2`. */
    version: string;
    cipherSuite: string;
    /** The server's certificate in DER, verified. */
    certificate: Uint8Array<ArrayBuffer>;
  };
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
    | { type: 'registered'; nick: string; network: string }
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
  | 'protocol'
  | 'nickname'
  | 'authentication'
  | 'other';

/** Every error of this package: `kind` for programs, `message` for people. */
export interface JackfieldError extends Error {
  name: 'JackfieldError';
  kind: ErrorKind;
}
