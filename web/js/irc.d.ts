/**
 * IRC in a page.
 *
 * ```js
 * import { open } from 'jackfield/irc';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * const irc = await network.irc('ircs://irc.example.org', { nick: 'ada', channels: ['#rust'] });
 * for await (const event of irc) {
 *   if (event.type === 'message') console.log(event.from, event.text);
 * }
 * ```
 */

import type { BaseNetwork, JackfieldError, OpenOptions, Security, Timed } from './common.js';

export * from './common.js';

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network, for IRC. */
export interface Network extends BaseNetwork {
  /**
   * An IRC client. It connects as soon as its events are asked for, and again whenever the
   * connection is lost, until `close()`.
   *
   * @param url `ircs://host` (port 6697), or `irc://host` (6667, not encrypted).
   * @throws {JackfieldError} `invalid-input` for a value that can't be sent, with its name.
   */
  irc(url: string | URL, options: IrcOptions): Promise<Irc>;
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

/** Someone in a channel. */
export interface Member {
  nick: string;
  /** The signs of their rank, highest first, such as `@` and `+`. */
  prefix: string;
  away: boolean;
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
