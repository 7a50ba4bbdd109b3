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

import type {
  BaseNetwork, Client, JackfieldError, Missed, OpenOptions, ReconnectOptions, Security, Timed, WaitOptions,
} from './common.js';

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
   * An IRC client. It connects at once, and again whenever the connection is lost, until `close()`.
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
  /** How to connect again after a connection was lost; false for never: then its loss ends the client. */
  reconnect?: ReconnectOptions | false;
}

/**
 * An IRC client. Iterating takes its events, for one reader at a time; leaving the loop leaves the client open.
 * While a loop is slow, nothing is read from the server, so that memory stays bounded; and so it is between two calls
 * of `next()`. While there is no reader, the newest 256 events are kept for the next one, which is told of those
 * that it has missed: a page that only says things needs none.
 */
export interface Irc extends Client, AsyncIterable<IrcEvent> {
  /** Resolves when the client is registered for the first time; rejects with the error that has ended it before. */
  readonly registered: Promise<void>;
  /**
   * The next event, or null after the end. One that is not waited for any more is what the next call gives.
   *
   * @throws {JackfieldError} `in-use` while another call or a loop waits.
   */
  next(options?: WaitOptions): Promise<IrcEvent | null>;
  join(channel: string, key?: string, options?: WaitOptions): Promise<void>;
  part(channel: string, reason?: string, options?: WaitOptions): Promise<void>;
  /** Sends a message; what is too long for one line is sent in several. */
  say(target: string, text: string, options?: WaitOptions): Promise<void>;
  /** Sends a `/me`. */
  action(target: string, text: string, options?: WaitOptions): Promise<void>;
  notice(target: string, text: string, options?: WaitOptions): Promise<void>;
  /** A channel's topic; null where it has none. */
  topic(channel: string, options?: WaitOptions): Promise<string | null>;
  /** Changes a channel's topic; an empty one removes it. */
  setTopic(channel: string, topic: string, options?: WaitOptions): Promise<void>;
  setNick(nick: string, options?: WaitOptions): Promise<void>;
  /** Away with a reason, back without one. */
  setAway(reason?: string, options?: WaitOptions): Promise<void>;
  /**
   * What the server tells about a user; null where it tells nothing.
   *
   * @throws {JackfieldError} `refused` where there is no such user.
   */
  whois(nick: string, options?: WaitOptions): Promise<IrcWhois | null>;
  /**
   * The users in a channel, or that match a mask such as `*.example.org`. More than 10,000 are
   * `limit-exceeded`.
   */
  who(mask: string, options?: WaitOptions): Promise<IrcUser[]>;
  /** A channel's members, as the server lists them now. Of channels that we are in, `members` events tell. */
  names(channel: string, options?: WaitOptions): Promise<Member[]>;
  /**
   * The channels that there are, as far as the server shows them. It is asked when the loop begins, and all
   * come at once.
   *
   * ```js
   * const irc = await network.irc('ircs://irc.example.org', { nick: 'ada' });
   * await irc.registered;
   * for await (const { channel, members, topic } of irc.list({ names: '*rust*', minMembers: 10 })) {
   *   console.log(channel, members, topic);
   * }
   * ```
   *
   * @throws {JackfieldError} `limit-exceeded` beyond 50,000 channels: narrow it; `refused` where the
   *   server wants to be asked later.
   */
  list(options?: IrcListOptions): AsyncIterable<IrcListEntry>;
  /** A channel's modes. */
  modes(channel: string, options?: WaitOptions): Promise<IrcModes>;
  /**
   * Changes modes of a channel or of oneself: `setMode('#rust', '+o-v', 'ada', 'bob')`.
   *
   * @throws {JackfieldError} `refused` for who may not, as all that follow.
   */
  setMode(target: string, modes: string, ...params: string[]): Promise<void>;
  setMode(target: string, modes: string, ...paramsAndOptions: [...string[], WaitOptions]): Promise<void>;
  /** Removes someone from a channel, with a reason for others to read. */
  kick(channel: string, nick: string, reason?: string, options?: WaitOptions): Promise<void>;
  invite(nick: string, channel: string, options?: WaitOptions): Promise<void>;
  /**
   * Sends any command; done when it was sent. What the server answers comes as events: of type `raw` and
   * `info`, and `fault` for a refusal.
   *
   * ```js
   * const irc = await network.irc('ircs://irc.example.org', { nick: 'ada' });
   * await irc.registered;
   * await irc.raw('KNOCK', '#rust', 'may I come in?');
   * ```
   *
   * @param command Letters and digits.
   * @param params The last may be any text without CR, LF and NUL; those before it are words: not
   *   empty, without spaces, not beginning with `:`.
   * @throws {JackfieldError} `invalid-input` for anything else.
   */
  raw(command: string, ...params: string[]): Promise<void>;
  raw(command: string, ...paramsAndOptions: [...string[], WaitOptions]): Promise<void>;
  /**
   * Takes leave of the server, with a reason for others to read; the events end once it has closed,
   * or after 5 s.
   */
  close(reason?: string, options?: WaitOptions): Promise<void>;
}

/** Someone in a channel. */
export interface Member {
  nick: string;
  /** The signs of their rank, highest first, such as `@` and `+`. */
  prefix: string;
  away: boolean;
}

/** What the server tells about a user; what it doesn't tell is empty or null. */
export interface IrcWhois {
  nick: string;
  username: string;
  host: string;
  realname: string;
  /** The account that the user is logged in to. */
  account: string | null;
  /** The text of a user who is away. */
  away: string | null;
  /** The user's channels, with the signs of their rank in front. */
  channels: string[];
  /** An operator of the network. */
  operator: boolean;
  /** Connected over TLS. */
  secure: boolean;
  /** The server that the user is on, and what it says of itself. */
  server: string;
  serverInfo: string;
  /** For how long the user has said nothing, in milliseconds. */
  idle: number | null;
  /** When the user came, in milliseconds since 1970. */
  signedOn: number | null;
  /** What else the server tells, as texts. */
  other: string[];
}

/** A user in the answer to `who()`. */
export interface IrcUser {
  nick: string;
  username: string;
  host: string;
  realname: string;
  /** The account that the user is logged in to, where the server tells. */
  account: string | null;
  away: boolean;
  /** An operator of the network. */
  operator: boolean;
  /** A channel that the user is in; `*` for none that is shown. */
  channel: string;
  /** The signs of the user's rank there. */
  prefix: string;
  /** The server that the user is on. */
  server: string;
}

export interface IrcListOptions extends WaitOptions {
  /** A channel's name, or a mask where the server knows masks; several have a comma between them. */
  names?: string;
  /** How many members a channel has at the least. Default: 0. */
  minMembers?: number;
}

/** A channel in the answer to `list()`. */
export interface IrcListEntry {
  channel: string;
  /** How many members there are, as far as we may see them. */
  members: number;
  /** Empty where there is none. There are servers that put the channel's modes in front: `[+nt] about sockets`. */
  topic: string;
}

/** A channel's modes. */
export interface IrcModes {
  /** The letters, with `+` in front. */
  modes: string;
  /** The parameters of those that have one, in order. */
  params: string[];
}

/** What happens. Events of types that are not listed here may come with later versions. */
export type IrcEvent = Timed &
  (
    | Missed
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
    /** Someone was invited to a channel; `self`: we were. */
    | { type: 'invite'; channel: string; nick: string; by: string; self: boolean }
    /** A question by CTCP, such as `VERSION`, or the `reply` to one. Nothing is answered by itself. */
    | {
        type: 'ctcp';
        from: string;
        target: string;
        command: string;
        params: string;
        reply: boolean;
        self: boolean;
      }
    /**
     * The server refused something; `about` is a channel or a nickname, or empty. `code` is a numeric
     * (`482`) or a word of IRCv3's standard replies, and empty where it was not the server that refused.
     */
    | { type: 'fault'; text: string; about: string; code: string }
    /** The server says something to whoever likes to read it, by the numeric `command`. */
    | { type: 'info'; text: string; command: string; params: string[]; from: string }
    /** A line that nothing else tells. `from` is a server or a nickname, or empty. */
    | { type: 'raw'; command: string; params: string[]; from: string }
    | { type: 'lag'; milliseconds: number }
  );
