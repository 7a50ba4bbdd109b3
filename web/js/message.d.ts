/**
 * What IMAP and SMTP share: messages that are read and written, and how long one waits.
 */

import type { Body } from './common.js';

export type { ClientState, WaitOptions } from './common.js';

/** Who logs in: with a password, or with a token of OAuth 2.0. */
export interface MailLogin {
  /** With a token it may be missing where the token says who it is; XOAUTH2 needs it. */
  username?: string;
  /** Proven by SCRAM where the server has it, else sent as it is, over TLS alone. */
  password?: string;
  /**
   * A token (OAUTHBEARER or XOAUTH2), or a function that gives one: it is called before each log-in, so that
   * the token it gives is still good. Where it fails, the attempt does, as `authentication`.
   */
  token?: string | (() => string | Promise<string>);
}

/** A mailbox of somebody, with the name that they go by, which anybody can choose freely. */
export interface MailAddress {
  name: string | null;
  /** Such as `ada@example.org`; in a message that was received it may be anything. */
  address: string;
}

/** An address as it is written: `ada@example.org`, `Ada <ada@example.org>`, or its parts. */
export type AddressLike = string | { name?: string | null; address: string };

/** A part of a message that is no multipart: a text, an image, a file. */
export interface MessagePart {
  /** What leads to it, such as `2.1`; empty where nothing does. */
  path: string;
  /** In lower case, such as `text/plain`. It is what the sender says. */
  mediaType: string;
  charset: string | null;
  encoding: 'identity' | 'base64' | 'quoted-printable';
  /** A name that a file can have: without a folder, and without characters that hide how it ends. */
  name: string | null;
  /** What `cid:` addresses in HTML name it with. */
  contentId: string | null;
  /** Whether it belongs into the text more than beside it. */
  isInline: boolean;
  /** How many bytes it has, of base64 a few too many. */
  size: number;
  /** How many bytes it has as it is encoded. */
  encodedSize: number;
  /** Whether lines that end in a blank go on in the next, and whether that blank is none of the text (RFC 3676). */
  isFlowed: boolean;
  isDeletingSpace: boolean;
}

/** Which parts of a message are shown, and which hang on it. */
export interface MessageParts {
  /** The texts that make it up where no HTML is wanted; HTML where there is nothing else. */
  text: MessagePart[];
  /** Those that make it up where HTML is wanted; plain text where there is nothing else. */
  html: MessagePart[];
  /** Everything else, images in the text among them. */
  attachments: MessagePart[];
  /** Whether something was left out, since there is too much of it. */
  isTruncated: boolean;
}

/** A part with what is in it. */
export interface ParsedAttachment extends MessagePart {
  /**
   * Its bytes. A Blob that is made of them has the origin of the page: with the type `text/html` or
   * `image/svg+xml` it would run the sender's scripts there when it is opened. Give such types to none.
   */
  content: Uint8Array<ArrayBuffer>;
}

/** A message that was read. Nothing in it was checked by anybody: its sender may have written anything. */
export interface ParsedMessage {
  subject: string | null;
  /** When it was written, as the sender says, in milliseconds since 1970. */
  date: number | null;
  from: MailAddress[];
  to: MailAddress[];
  cc: MailAddress[];
  replyTo: MailAddress[];
  /** Identifiers are without `<` and `>`. */
  messageId: string | null;
  inReplyTo: string[];
  references: string[];
  /** All fields of its header, by name and text, from the top. */
  fields: [string, string][];
  /** How to leave the mailing list that it came by. */
  unsubscribe: { web: string | null; mail: string | null; isOneClick: boolean } | null;
  /** The text to show where no HTML is wanted; made from the HTML where there is no other. */
  text: string;
  /**
   * The HTML to show; made from the text where there is no other, and null where there is neither. **It is as
   * the sender made it**, with scripts, forms, and images that tell when they are loaded: it belongs into a
   * frame with `sandbox` without `allow-scripts`, and a Content-Security-Policy of `default-src 'none'` in it.
   */
  html: string | null;
  /** Whether the sender made HTML. */
  hasHtml: boolean;
  attachments: ParsedAttachment[];
  /** Whether something was left out, since there is too much of it. */
  isTruncated: boolean;
}

/** A message to be written. What can't stand where it is put is refused: nothing becomes another field. */
export interface MessageDraft {
  from: AddressLike;
  to?: AddressLike | readonly AddressLike[];
  cc?: AddressLike | readonly AddressLike[];
  /** They are told the server, and nowhere in the message, unless `keepBcc` is set. */
  bcc?: AddressLike | readonly AddressLike[];
  replyTo?: AddressLike | readonly AddressLike[];
  subject?: string;
  text?: string;
  /** An alternative to the text. */
  html?: string;
  /** The identifiers of what it answers, and of the messages before it, the oldest first. */
  inReplyTo?: readonly string[];
  references?: readonly string[];
  attachments?: readonly DraftAttachment[];
  /** Fields besides these, by name and text. */
  fields?: readonly (readonly [string, string])[];
  /** Whether the text's paragraphs are sent as lines that go on (RFC 3676). Default: false. */
  flowed?: boolean;
  /** Default: a new one. */
  messageId?: string;
  /** Default: now. */
  date?: Date;
  /** Whether `bcc` stands in the message: for one that is kept as a draft. Default: false. */
  keepBcc?: boolean;
}

/** What hangs on a message, or is an image of its HTML. All of it is held in memory. */
export interface DraftAttachment {
  content: Body;
  /** Default: that of a File. */
  name?: string;
  /** Default: that of a Blob, else `application/octet-stream`. */
  mediaType?: string;
  /** What the HTML names it with, without `cid:`; something like `1@example.org`. */
  contentId?: string;
}

/** A message that can be sent, and what must be said when it is. */
export interface ComposedMessage {
  /** Whom it is from, for the server. */
  from: string;
  /** Whom it goes to: To, Cc and Bcc, each once. */
  to: string[];
  messageId: string;
  /** Whether an address in it is beyond ASCII, which not every server takes (RFC 6531). */
  smtpUtf8: boolean;
  message: Uint8Array<ArrayBuffer>;
}
