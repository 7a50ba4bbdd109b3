/**
 * Sending mail from a page, through a server that one has an account with.
 *
 * ```js
 * import { open } from 'jackfield/smtp';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * const smtp = await network.smtp('smtps://mail.example.org', { username: 'ada', password });
 * const letter = await smtp.compose({
 *   from: 'Ada <ada@example.org>', to: 'grace@example.com', subject: 'Lunch?', text: 'At one.',
 * });
 * for (const { address, outcome, text } of (await smtp.send(letter)).recipients) {
 *   console.log(address, outcome, text);
 * }
 * ```
 */

import type {
  BaseNetwork, Body, JackfieldError, Missed, OpenOptions, ReconnectOptions, Security, Timed,
} from './common.js';
import type { ClientState, ComposedMessage, MailLogin, MessageDraft, WaitOptions } from './message.js';

export * from './common.js';
export * from './message.js';

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network, for SMTP. */
export interface Network extends BaseNetwork {
  /**
   * An SMTP client (RFC 5321, RFC 6409). It connects when there is something to send, and leaves after a minute
   * without.
   *
   * @param url `smtps://host` (TLS, port 465), or `smtp://host` (STARTTLS, port 587: without TLS nothing is
   *   said). A relay denies port 25 unless it was told otherwise.
   * @throws {JackfieldError} `invalid-input` for a value that can't be sent, with its name.
   */
  smtp(url: string | URL, options?: SmtpOptions): Promise<Smtp>;
}

/** Who logs in; nobody, where all of it is missing. */
export interface SmtpOptions extends MailLogin {
  /** How to introduce oneself. Default: `localhost`, which servers of mail submission take. */
  name?: string;
  /** How to connect again after a connection was lost; false for never: then its loss ends the client. */
  reconnect?: ReconnectOptions | false;
}

/**
 * An SMTP client. Iterating takes its events, one loop at a time; most pages need none of them. Everything fails
 * with the final error once there is one, such as a log-in that was refused.
 */
export interface Smtp extends AsyncDisposable, AsyncIterable<SmtpEvent> {
  readonly state: ClientState;
  /** Settles at the end: with nothing after `close()`, and else with the final error. */
  readonly closed: Promise<void>;
  /** Ends the wait for the next attempt to connect, as when the network is known to be back. */
  reconnectNow(): void;
  /** The next event, or null after the end. */
  next(options?: WaitOptions): Promise<SmtpEvent | null>;
  /**
   * Sends a message; settles when the server has answered for it, with the outcome for each recipient: it is
   * a success where one was accepted. Several may be sent at once. Given up before all of it was read, it is
   * withdrawn; afterwards it is sent all the same.
   *
   * @throws {JackfieldError} `refused` where no recipient was accepted, with `recipients` and the reply's
   *   `code`; `outcome-unknown` where the connection was lost behind the message, so that **it may have been
   *   taken or not**: it is not sent again by itself; `limit-exceeded` where it is larger than the server takes.
   */
  send(message: SmtpMessage, options?: SmtpSendOptions): Promise<SmtpSent>;
  /** Connects and logs in, where that is still to be done: tells whether it can be. Sends nothing. */
  verify(options?: WaitOptions): Promise<void>;
  /** @throws {JackfieldError} `invalid-input`, where a field can't be what it is to be. */
  compose(draft: MessageDraft): Promise<ComposedMessage>;
  /** Leaves. What is on its way has ten seconds to be done. */
  close(options?: WaitOptions): Promise<void>;
}

/** A message and whom it goes to: what `compose()` makes, or one of the page's own. */
export interface SmtpMessage {
  /** Who is told where it can't be delivered; an empty text is nobody. */
  from: string;
  /** Everybody who is to get it. What its header says, servers don't read; Bcc is taken out of it on the way. */
  to: string | readonly string[];
  /** Header, empty line and text. A Blob or a stream is read as the server takes it. */
  message: Body;
  /** Whether its header has addresses beyond ASCII. Default: false; needed where the server offers it not, it fails. */
  smtpUtf8?: boolean;
  /** Whether every server on the way has to use TLS (RFC 8689). Default: false. */
  requireTls?: boolean;
  /** Is not looked at. */
  messageId?: string;
}

export interface SmtpSendOptions extends WaitOptions {
  /** Told how many bytes were given to the connection. */
  progress?: (done: number, total: number | null) => void;
}

export interface SmtpSent {
  recipients: SmtpRecipient[];
}

/** What became of a message for one recipient. */
export interface SmtpRecipient {
  address: string;
  outcome: 'accepted' | 'refused' | 'unknown' | 'not-asked';
  /** The server's reply, such as 250 or 550, and its text; null where there was none. */
  code: number | null;
  text: string | null;
}

/** What happens. Events of types that are not listed here may come with later versions. */
export type SmtpEvent = Timed &
  (
    | { type: 'connecting' }
    /** `maxSize` is how large a message may be, in bytes; null where the server doesn't say. */
    | { type: 'connected'; security: Security; maxSize: number | null }
    /** `retryIn` is in milliseconds; null where trying again can't help: then the events end. */
    | { type: 'disconnected'; error: JackfieldError; retryIn: number | null }
    /** A log-in that was bound to its TLS connection has failed, and the next was not bound. */
    | { type: 'loginNotBound' }
    | Missed
  );
