/**
 * Mail in a page: folders, messages, their texts and attachments, and a copy of them that is there without network.
 *
 * ```js
 * import { open } from 'jackfield/imap';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * const imap = await network.imap('imaps://mail.example.org', { username: 'ada', password });
 * for (const { name, specialUse } of await imap.list()) console.log(name, specialUse);
 *
 * const inbox = await imap.select('INBOX');
 * for await (const { uid, envelope } of inbox.fetch('1:*', ['envelope'], { newest: 50 })) {
 *   console.log(uid, envelope?.from[0]?.address, envelope?.subject);
 * }
 * const newest = (await inbox.search()).at(-1);
 * if (newest !== undefined) console.log((await inbox.message(newest)).text);
 * ```
 *
 * A copy that is kept in step, and shown before there is a connection:
 *
 * ```js
 * import { openMailCopy } from 'jackfield/imap';
 *
 * const copy = await openMailCopy('mail');
 * console.log(await copy.messages('INBOX', { newest: 50 }));
 *
 * const imap = await network.imap('imaps://mail.example.org', { username: 'ada', password });
 * for await (const change of imap.sync('INBOX', { store: copy })) {
 *   if (change.type === 'new') console.log(change.message.envelope?.subject);
 * }
 * ```
 */

import type {
  BaseNetwork, Body, JackfieldError, Missed, OpenOptions, ReconnectOptions, Security, Timed,
} from './common.js';
import type {
  ClientState, ComposedMessage, MailAddress, MailLogin, MessageDraft, MessagePart, MessageParts, ParsedMessage,
  WaitOptions,
} from './message.js';

export * from './common.js';
export * from './message.js';

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network, for IMAP. */
export interface Network extends BaseNetwork {
  /**
   * An IMAP client (RFC 3501, RFC 9051). It connects and logs in at once, and again whenever the connection is
   * lost, until `close()` or an error that another attempt can't mend.
   *
   * @param url `imaps://host` (TLS, port 993), or `imap://host` (STARTTLS, port 143: without TLS nothing is
   *   said).
   * @throws {JackfieldError} `invalid-input` for a value that can't be sent, with its name.
   */
  imap(url: string | URL, options: ImapOptions): Promise<Imap>;
}

/** Who logs in, and how. */
export interface ImapOptions extends MailLogin {
  /** How to connect again after a connection was lost; false for never: then its loss ends the client. */
  reconnect?: ReconnectOptions | false;
}

/**
 * An IMAP client. Iterating takes its events, one loop at a time; leaving the loop closes nothing. The last 1,000
 * wait for a page that doesn't ask, and older ones go.
 *
 * What is asked for while there is no connection waits for one, where it is of no mailbox that is open; the rest
 * fails as `closed`. What a lost connection leaves unanswered fails as `reset`, and is not asked again: whether
 * it was done is not known. Everything fails with the final error once there is one.
 *
 * Any method may throw: `refused` with what the server said, `unsupported` where the server lacks it,
 * `invalid-input` for a value that can't be sent (nothing that is passed can become a command), `timed-out`,
 * `limit-exceeded`. The methods name only what is particular.
 */
export interface Imap extends AsyncDisposable, AsyncIterable<ImapEvent> {
  readonly state: ClientState;
  /** Settles when somebody is logged in for the first time; fails if that never happens. */
  readonly connected: Promise<void>;
  /** Settles at the end: with nothing after `close()`, and else with the final error. */
  readonly closed: Promise<void>;
  /** What is known of the server; null while nobody is logged in. */
  readonly server: ImapServer | null;
  /** Ends the wait for the next attempt to connect, as when the network is known to be back. */
  reconnectNow(): void;
  /** The next event, or null after the end. */
  next(options?: WaitOptions): Promise<ImapEvent | null>;

  /** The mailboxes, each with what it is for: as the server says, else as its name says in some twenty languages. */
  list(options?: ImapListOptions): Promise<ImapMailboxInfo[]>;
  /** The state of a mailbox; by default its messages, those not seen, `uidNext` and `uidValidity`. */
  status(mailbox: string, items?: readonly ImapStatusItem[], options?: WaitOptions): Promise<ImapStatus>;
  /** Where mailboxes are. @throws {JackfieldError} `unsupported`, without NAMESPACE. */
  namespaces(options?: WaitOptions): Promise<ImapNamespaces>;
  /** What is used of what a mailbox may take. @throws {JackfieldError} `unsupported`, without QUOTA. */
  quotas(mailbox: string, options?: WaitOptions): Promise<ImapQuota[]>;
  create(mailbox: string, options?: WaitOptions): Promise<void>;
  /** Removes a mailbox and the messages in it. */
  delete(mailbox: string, options?: WaitOptions): Promise<void>;
  rename(mailbox: string, to: string, options?: WaitOptions): Promise<void>;
  subscribe(mailbox: string, options?: WaitOptions): Promise<void>;
  unsubscribe(mailbox: string, options?: WaitOptions): Promise<void>;
  /**
   * Has the server tell what happens in other mailboxes than the one that is open, as `status` and `mailbox`
   * events; none with an empty list. @throws {JackfieldError} `unsupported`, without NOTIFY.
   */
  watch(mailboxes: 'personal' | 'subscribed' | readonly string[], options?: WaitOptions): Promise<void>;

  /**
   * Opens a mailbox. News of it come as events from then on. A connection has one open at a time: work in another
   * waits for what was asked of this one, opens the other, and later this one again, which costs a round trip.
   */
  select(mailbox: string, options?: ImapSelectOptions): Promise<ImapMailbox>;
  /**
   * Appends a message. A text's line ends become CRLF; everything else must have them. A Blob is read as the
   * server takes it.
   *
   * @throws {JackfieldError} `limit-exceeded`, where the server has said how large one may be.
   */
  append(mailbox: string, message: Body, options?: ImapAppendOptions): Promise<ImapAppended>;
  /**
   * Saves a draft in the place of the previous one, whose UID in the same mailbox is given; without one it is
   * the first. A server with REPLACE does both or none. With any other, the new one is appended first and the
   * previous one removed then: should that fail, both are there, but never none.
   *
   * ```js
   * const imap = await network.imap('imaps://mail.example.org', { username: 'ada', password });
   * const letter = { from: 'ada@example.org', subject: 'Plans', keepBcc: true };
   * const first = await imap.compose({ ...letter, text: 'We' });
   * const { uid } = await imap.saveDraft('Drafts', first.message);
   * const second = await imap.compose({ ...letter, text: 'We begin' });
   * await imap.saveDraft('Drafts', second.message, uid);
   * ```
   */
  saveDraft(
    mailbox: string, message: Body, previous?: number | null, options?: ImapDraftOptions,
  ): Promise<ImapSavedDraft>;
  /**
   * Brings a copy of a mailbox up to date: what has changed since its state. It takes one round trip with any
   * server; with QRESYNC or CONDSTORE little is sent. The changes are kept in the copy that `store` names, or
   * are the page's to keep, together with `state`. Where another mailbox is opened meanwhile, it goes on
   * afterwards. Up to 20,000 changes are read ahead of the loop.
   */
  sync(mailbox: string, options?: ImapSyncOptions): ImapSync;

  /** A message as an object: one from a copy of the page's own, say. It may be anything, and never fails. */
  parse(message: Body): Promise<ParsedMessage>;
  /** @throws {JackfieldError} `invalid-input`, where a field can't be what it is to be. */
  compose(draft: MessageDraft): Promise<ComposedMessage>;
  /** Takes leave of the server; what was sent is still answered. The events end when it is done. */
  close(options?: WaitOptions): Promise<void>;
}

/** What is known of a server. */
export interface ImapServer {
  /** In capitals, such as `QRESYNC`. */
  capabilities: string[];
  /** Those that were enabled. */
  enabled: string[];
  /** What it says of itself. */
  id: [string, string][];
}

export interface ImapListOptions extends WaitOptions {
  /** In Unicode: `*` stands for anything, `%` for anything within a level. Default: `*`. */
  pattern?: string;
  /** Only those that are subscribed to. Default: false. */
  subscribed?: boolean;
  /** The state of each, too. */
  status?: readonly ImapStatusItem[];
}

/** A mailbox that was listed. */
export interface ImapMailboxInfo {
  name: string;
  /** What separates the levels of its name; null where there are none. */
  separator: string | null;
  specialUse: 'all' | 'archive' | 'drafts' | 'flagged' | 'important' | 'junk' | 'sent' | 'trash' | null;
  /** Whether only its name says so, and not the server. */
  isGuess: boolean;
  /** Whether it can hold messages: some are but a level of names. */
  selectable: boolean;
  subscribed: boolean;
  /** What the server says it is, such as `\HasChildren`. */
  attributes: string[];
  /** Null where it was not asked for. */
  status: ImapStatus | null;
}

export type ImapStatusItem = Exclude<keyof ImapStatus, 'name'>;

/** The state of a mailbox. What was not asked for, or is not known to the server, is null. */
export interface ImapStatus {
  name: string;
  messages: number | null;
  recent: number | null;
  /** The UID that the next message will have, at the least. */
  uidNext: number | null;
  /** While this stays the same, so do the UIDs. */
  uidValidity: number | null;
  unseen: number | null;
  deleted: number | null;
  /** All together, in bytes (STATUS=SIZE). */
  size: number | null;
  /** The number of the last change (CONDSTORE). */
  highestModSeq: bigint | null;
  /** Its identity (OBJECTID). */
  mailboxId: string | null;
  /** How large a message may be, in bytes (APPENDLIMIT). */
  appendLimit: number | null;
}

export interface ImapNamespaces {
  personal: ImapNamespace[];
  otherUsers: ImapNamespace[];
  shared: ImapNamespace[];
}

export interface ImapNamespace {
  prefix: string;
  separator: string | null;
}

export interface ImapQuota {
  root: string;
  /** `STORAGE` in units of 1024 bytes, `MESSAGE`, `MAILBOX` or another. */
  resource: string;
  used: number;
  limit: number;
}

export interface ImapSelectOptions extends WaitOptions {
  /** To look only: nothing in it can be changed, and no message becomes seen. Default: false. */
  readOnly?: boolean;
}

/** What the server says of a mailbox that is open. */
export interface ImapSelected {
  name: string;
  /** Whether nothing in it can be changed. */
  readOnly: boolean;
  /** How many messages are in it. */
  exists: number;
  /** While this stays the same, so do the UIDs; null where the server has none that last. */
  uidValidity: number | null;
  uidNext: number | null;
  highestModSeq: bigint | null;
  flags: string[];
  /** Those that can be changed for good, `\*` among them where keywords can be made up; null is all. */
  permanentFlags: string[] | null;
}

/**
 * A mailbox that was opened. Messages are named by their UIDs. Where these are others than when it was opened
 * (UIDVALIDITY), every method fails as `closed`: select it again.
 */
export interface ImapMailbox extends Readonly<ImapSelected> {
  /** How many messages are in it now. */
  readonly exists: number;
  /**
   * Messages, in the order of the UIDs that are given, or of `1:*`. They are asked for in windows of up to 200,
   * so that the loop may wait for anything else of the same client. Those that are not there are left out.
   *
   * @param items Default: `flags`, `date`, `size` and `envelope`.
   */
  fetch(
    uids?: ImapUids, items?: readonly ImapItem[], options?: ImapFetchOptions,
  ): AsyncGenerator<ImapMessage, void, undefined>;
  /**
   * The text of a message, or a part of it, as it comes; the message does not count as seen by it. A part as
   * `parts` of a fetched message has it is decoded.
   *
   * ```js
   * const imap = await network.imap('imaps://mail.example.org', { username: 'ada', password });
   * const inbox = await imap.select('INBOX');
   * for await (const { uid, parts } of inbox.fetch(17, ['parts'])) {
   *   for (const part of parts?.attachments ?? []) {
   *     const body = await inbox.body(uid, part, { progress: (done, total) => console.log(done, total) });
   *     console.log(part.name, await body.blob());
   *   }
   * }
   * ```
   *
   * @throws {JackfieldError} `not-found`, where there is no such message, or no such part of it.
   */
  body(uid: number, part?: ImapSection, options?: ImapBodyOptions): Promise<ImapBody>;
  /** A whole message as an object. It is held in memory. @throws {JackfieldError} `not-found`. */
  message(uid: number, options?: ImapBodyOptions): Promise<ParsedMessage>;
  /** The UIDs of the messages that match, all without a query: up to a million. */
  search(query?: ImapQuery, options?: WaitOptions): Promise<number[]>;
  /** The same in order. @throws {JackfieldError} `unsupported`, without SORT. */
  sort(
    by: ImapSortKey | readonly ImapSortKey[], query?: ImapQuery, options?: WaitOptions,
  ): Promise<number[]>;
  /** The messages that match as conversations. @throws {JackfieldError} `unsupported`, without THREAD. */
  threads(query?: ImapQuery, options?: ImapThreadOptions): Promise<ImapThread[]>;
  /** Adds flags. No messages are no mistake here and below: nothing is done. */
  addFlags(uids: ImapUids, flags: readonly ImapFlag[], options?: ImapStoreOptions): Promise<ImapStored>;
  removeFlags(uids: ImapUids, flags: readonly ImapFlag[], options?: ImapStoreOptions): Promise<ImapStored>;
  /** Sets these, and takes all others away. */
  setFlags(uids: ImapUids, flags: readonly ImapFlag[], options?: ImapStoreOptions): Promise<ImapStored>;
  copy(uids: ImapUids, to: string, options?: WaitOptions): Promise<ImapCopied>;
  /** Moves messages. Without MOVE they are copied, and removed then; none is ever lost. */
  move(uids: ImapUids, to: string, options?: WaitOptions): Promise<ImapCopied>;
  /**
   * Removes those of these messages that have `\Deleted`; without UIDs all that have it, whoever gave it to them.
   *
   * @throws {JackfieldError} `unsupported` with UIDs, without UIDPLUS.
   */
  expunge(uids?: ImapUids, options?: WaitOptions): Promise<void>;
  /** Marks these messages as `\Deleted` and removes them. @throws {JackfieldError} `unsupported`, without UIDPLUS. */
  delete(uids: ImapUids, options?: WaitOptions): Promise<void>;
}

/** Messages by their UIDs: one, a list, or a set such as `1:5,7` or `1:*`. */
export type ImapUids = number | readonly number[] | string;

/** A flag: `\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`, or a keyword such as `$Junk`. */
export type ImapFlag = '\\Seen' | '\\Answered' | '\\Flagged' | '\\Deleted' | '\\Draft' | (string & {});

/** What is told of a message. The last six need an extension, and are `unsupported` without it. */
export type ImapItem =
  | 'flags' | 'date' | 'size' | 'envelope' | 'parts'
  | 'modseq' | 'emailId' | 'threadId' | 'preview' | 'saveDate' | 'gmail';

export interface ImapFetchOptions extends WaitOptions {
  /** Only so many, the newest first. */
  newest?: number;
  /** Only those that have changed after this change. Needs CONDSTORE. */
  changedSince?: bigint;
}

/** What was told of a message. What was not asked for is missing, and so is what the server could not tell. */
export interface ImapMessage {
  uid: number;
  flags?: string[];
  /** When it arrived, in milliseconds since 1970. */
  date?: number;
  /** In bytes. */
  size?: number;
  envelope?: ImapEnvelope;
  /** Which parts are shown, and which hang on it. */
  parts?: MessageParts;
  /** The number of its last change. */
  modseq?: bigint;
  /** Its identity, and its thread's, whichever mailbox it is in. */
  emailId?: string;
  threadId?: string;
  /** How it begins, in words. */
  preview?: string;
  /** When it came into this mailbox, in milliseconds since 1970. */
  saveDate?: number;
  gmail?: { messageId: bigint | null; threadId: bigint | null; labels: string[] };
}

/** The fields of a message's header that mailboxes are listed by, decoded. */
export interface ImapEnvelope {
  /** When it was written, as the sender says, in milliseconds since 1970. */
  date: number | null;
  subject: string | null;
  from: MailAddress[];
  sender: MailAddress[];
  replyTo: MailAddress[];
  to: MailAddress[];
  cc: MailAddress[];
  bcc: MailAddress[];
  /** Without `<` and `>`. */
  inReplyTo: string | null;
  messageId: string | null;
}

/**
 * What of a message: nothing for all of it, `header` or `text`, a part by its number such as `2` or `2.1`, a
 * part's header such as `2.header`, all of these as they are encoded; or one of `parts`, decoded.
 */
export type ImapSection = string | MessagePart;

export interface ImapBodyOptions extends WaitOptions {
  /** Told how many bytes have come, as they are encoded. */
  progress?: (done: number, total: number) => void;
}

/** A text that is being read; `timeout` is until it begins, and `signal` ends it at any time. */
export interface ImapBody {
  /** How many bytes it has, as it is encoded. */
  readonly size: number;
  /** Of a part that was named by `parts`. */
  readonly mediaType: string | null;
  /**
   * Its bytes as they come; this and the methods below can be called once. While nobody reads, nothing else is
   * read from the server either: whoever waits for another answer gets `timed-out` after a minute.
   */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * With the part's type where nothing of that type can run a script (images but SVG, sounds, films, plain text),
   * and else as `application/octet-stream`: opened, it would run with the origin of the page.
   */
  blob(): Promise<Blob>;
  /** Read by its charset, where it is one of `parts`, and else as UTF-8. */
  text(): Promise<string>;
  /** Leaves the rest. */
  cancel(): void;
}

/** What messages are searched by: all that is said must be true of them. */
export interface ImapQuery {
  uids?: ImapUids;
  flags?: readonly ImapFlag[];
  withoutFlags?: readonly ImapFlag[];
  /** Whose fields have this in them. */
  from?: string;
  to?: string;
  cc?: string;
  bcc?: string;
  subject?: string;
  /** In the text, without the header, and with it. */
  body?: string;
  text?: string;
  /** Fields by their names, with this in them. */
  header?: readonly (readonly [string, string])[];
  /** By the day when they arrived, or were written: that day or later, and before it. */
  since?: Date;
  before?: Date;
  sentSince?: Date;
  sentBefore?: Date;
  /** Of more and of less than so many bytes. */
  larger?: number;
  smaller?: number;
  /** That have changed since, this change included (CONDSTORE). */
  changedSince?: bigint;
  /** As Gmail's own search (X-GM-EXT-1). */
  gmail?: string;
  /** Of which this is not true. */
  not?: ImapQuery;
  /** Of which any of these is true. */
  or?: readonly ImapQuery[];
}

type SortName = 'arrival' | 'cc' | 'date' | 'from' | 'displayFrom' | 'size' | 'subject' | 'to' | 'displayTo';

/** What is sorted by; with `-` the highest first. `displayFrom` and `displayTo` need SORT=DISPLAY. */
export type ImapSortKey = SortName | `-${SortName}`;

export interface ImapThreadOptions extends WaitOptions {
  /** By what answers what, or by the subject alone. Default: `references`. */
  by?: 'references' | 'subject';
}

/** A conversation, or a branch of one. */
export interface ImapThread {
  /** Messages, each of which answers the one before it. */
  uids: number[];
  /** What answers the last of them, where there are several answers. */
  branches: ImapThread[];
}

export interface ImapStoreOptions extends WaitOptions {
  /** Only where nobody has changed the message after this change. Needs CONDSTORE. */
  unchangedSince?: bigint;
}

export interface ImapStored {
  /** With `unchangedSince`: those that were not changed, since somebody else has changed them. */
  modified: number[];
}

/** Where messages went. */
export interface ImapCopied {
  /** Of the mailbox that they went to, where the server tells (UIDPLUS). */
  uidValidity: number | null;
  /** The UID that each had, and the one that it has there, where the server tells. */
  uids: [number, number][];
  /** Whether those that were to be moved are still there, with `\Deleted`: without MOVE and UIDPLUS. */
  isLeftBehind: boolean;
}

export interface ImapAppendOptions extends WaitOptions {
  flags?: readonly ImapFlag[];
  /** When it arrived. Default: now. */
  date?: Date;
  /** Told how many bytes were given to the connection. */
  progress?: (done: number, total: number | null) => void;
}

/** Where a message is, where the server tells (UIDPLUS). */
export interface ImapAppended {
  uid: number | null;
  uidValidity: number | null;
}

export interface ImapDraftOptions extends WaitOptions {
  progress?: (done: number, total: number | null) => void;
}

export interface ImapSavedDraft extends ImapAppended {
  /**
   * What has become of the previous one: it is `gone`; still there with `\Deleted`, without REPLACE and UIDPLUS;
   * `kept`, where removing it failed; null where there was none.
   */
  former: 'gone' | 'deleted' | 'kept' | null;
}

export interface ImapSyncOptions {
  /** What is known already: what `state` of the last time was. Default: nothing. Not with `store`. */
  state?: Uint8Array | null;
  /** What of new messages is told beside flags and UID. Default: `date`, `size` and `envelope`. */
  items?: readonly ImapItem[];
  /**
   * The copy that is kept in step, or its name: changes are told once they are kept, together with the state.
   * One synchronisation of a mailbox at a time does, in whichever tab; others wait.
   */
  store?: string | MailCopy;
  signal?: AbortSignal;
}

/**
 * A synchronisation. Iterating takes the changes, once. Leaving the loop gives the rest up; what was told stays
 * true, and the next one goes on from its `state`.
 */
export interface ImapSync extends AsyncIterable<ImapChange> {
  /** What is known with all changes that were told: to be kept with them, as seldom as is good for the storage. */
  readonly state: Uint8Array<ArrayBuffer> | null;
  /** Takes all of them, and tells how many there were. */
  done(): Promise<ImapSynced>;
}

export interface ImapSynced {
  new: number;
  flags: number;
  gone: number;
  isReset: boolean;
}

/** A change of a mailbox. */
export type ImapChange =
  /** The UIDs of old mean nothing any more: all that is in the copy is to be forgotten. */
  | { type: 'reset' }
  | { type: 'gone'; uids: number[] }
  /** Its UID and flags alone, where the rest can't be read. */
  | { type: 'new'; message: ImapMessage }
  | { type: 'flags'; uid: number; flags: string[]; modseq: bigint | null };

/** Opens a copy of mailboxes in this origin's IndexedDB, or makes it. It needs no network, and no module. */
export function openMailCopy(name: string): Promise<MailCopy>;
/** Removes a copy; waits until no tab has it open. */
export function deleteMailCopy(name: string): Promise<void>;

/**
 * A copy of mailboxes in IndexedDB, which `sync()` keeps in step: what was told of each message. Texts are not in
 * it. The browser may throw it away when the disk is short, unless `navigator.storage.persist()` has it kept.
 * Several tabs may read one. Whatever fails is `storage`.
 */
export interface MailCopy extends AsyncDisposable {
  readonly name: string;
  /** The mailboxes that are in it, with how many messages each has here. */
  mailboxes(): Promise<MailCopyMailbox[]>;
  /** Messages, the newest first. */
  messages(mailbox: string, options?: MailCopyListOptions): Promise<ImapMessage[]>;
  /** A message, or null. */
  get(mailbox: string, uid: number): Promise<ImapMessage | null>;
  /** The state up to which a mailbox is here, or null. */
  state(mailbox: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Forgets a mailbox: the next synchronisation begins anew. */
  forget(mailbox: string): Promise<void>;
  close(): void;
}

export interface MailCopyMailbox {
  name: string;
  count: number;
}

export interface MailCopyListOptions {
  /** Only so many. */
  newest?: number;
  /** Only those with a lower UID: the last one that was got, for the next page. */
  before?: number;
}

/** What happens. Events of types that are not listed here may come with later versions. */
export type ImapEvent = Timed &
  (
    | { type: 'connecting' }
    | { type: 'connected'; security: Security; server: ImapServer }
    /** `retryIn` is in milliseconds; null where trying again can't help: then the events end. */
    | { type: 'disconnected'; error: JackfieldError; retryIn: number | null }
    /** So many messages are in the mailbox that is open. */
    | { type: 'exists'; count: number }
    /**
     * Messages are gone from it: their UIDs, with QRESYNC. Elsewhere the place of one among the others, of
     * which the page has no use but to `sync()`; `uids` is null then, and where there are more than a million.
     */
    | { type: 'expunged'; uids: number[] | null; number: number | null }
    /** Something of a message has changed, its flags most likely. The UID may be missing. */
    | { type: 'message'; message: Partial<ImapMessage> }
    /** A mailbox is new, has another name, or is gone. */
    | { type: 'mailbox'; mailbox: ImapMailboxInfo }
    /** The state of another mailbox, where it is watched. */
    | { type: 'status'; status: ImapStatus }
    /** The server no longer tells of what is watched; it can be asked again. */
    | { type: 'overflow' }
    /** A new connection stands, and the mailbox that was open is open again: `sync()` tells what was missed. */
    | { type: 'reselected'; mailbox: ImapSelected }
    /** It can't be opened any more. */
    | { type: 'notReselected'; error: JackfieldError }
    /** A log-in that was bound to its TLS connection has failed, and the next was not bound. */
    | { type: 'loginNotBound' }
    | Missed
    /** People must be shown this text. */
    | { type: 'alert'; text: string }
    /** The server says something to whoever likes to read it. */
    | { type: 'notice'; text: string }
  );
