// @ts-check
/** What the clients of mail share: what is sent. */

import { kindOf, options as checked, text } from './check.js';
import { invalid } from './error.js';
import { toBytes } from './payload.js';

/** @import * as Api from '../mail.d.ts' */

/** How many bytes are given to the module at once. */
const PIECE = 64 * 1024;
/** How many events wait for a page that does not ask for them; older ones go. */
export const MAX_EVENTS = 1000;

/**
 * A body as the module reads it: its size, where it is known, and a function that gives the next piece.
 *
 * @typedef {object} Source
 * @property {number | undefined} size
 * @property {() => Promise<Uint8Array | null>} pull
 * @property {() => unknown} failure What the body's own stream has failed with.
 */

/**
 * @param {Api.Body} body
 * @param {boolean} sized Whether its size has to be known: a stream is read to its end before.
 * @param {((done: number, total: number | null) => void) | undefined} progress
 * @returns {Promise<Source>}
 */
export async function source(body, sized, progress) {
  if (progress !== undefined && typeof progress !== 'function') {
    throw invalid(`the option progress is ${kindOf(progress)}, not a function`);
  }
  /** @type {unknown} */
  let failure;
  let done = 0;
  /** @param {number | undefined} size @param {() => Promise<Uint8Array | null>} next @returns {Source} */
  const made = (size, next) => ({
    size,
    failure: () => failure,
    async pull() {
      try {
        const piece = await next();
        if (piece !== null) {
          done += piece.length;
          progress?.(done, size ?? null);
        }
        return piece;
      } catch (error) {
        failure = error;
        throw error;
      }
    },
  });
  if (body instanceof Blob || (body instanceof ReadableStream && !sized)) {
    const stream = body instanceof Blob ? body.stream() : body;
    const reader = stream.getReader();
    /** @type {Uint8Array} */
    let rest = new Uint8Array();
    return made(body instanceof Blob ? body.size : undefined, async () => {
      while (rest.length === 0) {
        const { done: ended, value } = await reader.read();
        if (ended) {
          return null;
        }
        if (!(value instanceof Uint8Array)) {
          throw invalid(`the stream of the message gives ${kindOf(value)}, not a Uint8Array`);
        }
        rest = value;
      }
      const piece = rest.subarray(0, PIECE);
      rest = rest.subarray(piece.length);
      return piece;
    });
  }
  // Mail has CRLF at the ends of its lines, and what is typed into a script has LF.
  const bytes = await toBytes(typeof body === 'string' ? body.replace(/\r?\n/g, '\r\n') : body);
  let at = 0;
  return made(bytes.length, async () => {
    const piece = bytes.subarray(at, at + PIECE);
    at += piece.length;
    return piece.length > 0 ? piece : null;
  });
}

/** What `MessageDraft` and what it holds have. */
const DRAFT = [
  'from', 'to', 'cc', 'bcc', 'replyTo', 'subject', 'text', 'html', 'inReplyTo', 'references', 'attachments',
  'fields', 'flowed', 'messageId', 'date', 'keepBcc',
];
const ATTACHMENT = ['name', 'mediaType', 'content', 'contentId'];

/**
 * A draft as a message.
 *
 * @param {{ compose(draft: object): object }} client
 * @param {Api.MessageDraft} draft
 * @returns {Promise<Api.ComposedMessage>}
 */
export async function compose(client, draft) {
  if (checked('compose()', draft, DRAFT) === undefined) {
    throw invalid('the draft of compose() is missing');
  }
  const date = draft.date ?? new Date();
  if (!(date instanceof Date) || Number.isNaN(date.getTime())) {
    throw invalid('the option date is no Date');
  }
  const attachments = await Promise.all(listOf('attachments', draft.attachments).map(async (attachment) => {
    checked('an attachment', attachment, ATTACHMENT);
    const content = /** @type {Api.Body} */ (attachment.content);
    if (content === undefined) {
      throw invalid('an attachment has no content');
    }
    const named = content instanceof File ? { name: content.name } : {};
    const typed = content instanceof Blob && content.type ? { mediaType: content.type } : {};
    return { ...named, ...typed, ...attachment, content: await toBytes(content) };
  }));
  const made = client.compose({
    ...draft,
    from: addresses('from', draft.from),
    to: addresses('to', draft.to),
    cc: addresses('cc', draft.cc),
    bcc: addresses('bcc', draft.bcc),
    replyTo: addresses('replyTo', draft.replyTo),
    attachments,
    random: crypto.getRandomValues(new Uint8Array(16)),
    date: date.getTime(),
    offset: -date.getTimezoneOffset(),
  });
  return /** @type {Api.ComposedMessage} */ (made);
}

/**
 * Addresses, of which one need not be in a list.
 *
 * @param {string} name
 * @param {Api.AddressLike | readonly Api.AddressLike[] | undefined} value
 * @returns {Api.MailAddress[]}
 */
function addresses(name, value) {
  return listOf(name, value === undefined || Array.isArray(value) ? value : [value]).map((one) => {
    if (typeof one !== 'string') {
      checked(`an address of ${name}`, one, ['name', 'address']);
      return { name: one?.name ?? null, address: text(`address in ${name}`, one?.address) };
    }
    const [, shown, address] = /^\s*(.*?)\s*<([^<>]*)>\s*$/s.exec(one) ?? [];
    if (address === undefined) {
      return { name: null, address: one.trim() };
    }
    return { name: shown?.replace(/^"(.*)"$/s, '$1').replaceAll(/\\(.)/g, '$1') || null, address };
  });
}

/** A list that may be missing. @param {string} name @param {readonly any[] | undefined} value */
export function listOf(name, value) {
  if (value !== undefined && !Array.isArray(value)) {
    throw invalid(`the option ${name} is ${kindOf(value)}, not an array`);
  }
  return value ?? [];
}
