// @ts-check
/** What people write, as nodes: links become links, nothing becomes markup. */

/** A link: no further than the next space, quote or bracket. */
const LINK = /\bhttps?:\/\/[^\s<>"'`{}|\\^\u0000-\u0020\u007f]+/giu;

/** mIRC's formatting: bold, italics, underline, reverse, reset, and colours with their numbers. */
const FORMATTING = /\u0003(?:\d{1,2}(?:,\d{1,2})?)?|\u0004(?:[0-9a-f]{6})?|[\u0002\u000f\u0011\u0016\u001d\u001e\u001f]/giu;

/** What would let a line look like another: control characters and changes of direction. */
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * The text without what IRC uses for colours, and without what can't be seen.
 * @param {string} text
 */
export function plain(text) {
  return text.replace(FORMATTING, '').replace(INVISIBLE, '');
}

/**
 * Appends text to an element, with its links.
 * @param {Element} element
 * @param {string} text
 */
export function appendText(element, text) {
  const clean = plain(text);
  let end = 0;
  for (const match of clean.matchAll(LINK)) {
    // A sentence's full stop is not the link's, nor is a bracket that was opened before it.
    let address = match[0].replace(/[.,:;!?]+$/u, '');
    while (address.endsWith(')') && count(address, ')') > count(address, '(')) {
      address = address.slice(0, -1).replace(/[.,:;!?]+$/u, '');
    }
    const url = URL.parse(address);
    if (!url) {
      continue;
    }
    element.append(clean.slice(end, match.index));
    const link = document.createElement('a');
    link.href = url.href;
    link.textContent = address;
    link.target = '_blank';
    link.rel = 'noopener noreferrer nofollow';
    element.append(link);
    end = match.index + address.length;
  }
  element.append(clean.slice(end));
}

/**
 * Compares names as IRC does, near enough for showing: the server's own rule decides what happens.
 * @param {string} name
 */
export function fold(name) {
  return name.toLowerCase().replace(/[[\]\\~]/gu, (c) => ({ '[': '{', ']': '}', '\\': '|', '~': '^' })[c] ?? c);
}

/**
 * A colour for a nickname, the same every time.
 * @param {string} nick
 */
export function hue(nick) {
  let hash = 7;
  for (const c of fold(nick)) {
    hash = (hash * 31 + (c.codePointAt(0) ?? 0)) % 9973;
  }
  return (hash * 47) % 360;
}

/**
 * Whether a text names someone, as a word of its own.
 * @param {string} text
 * @param {string} nick
 */
export function mentions(text, nick) {
  const at = fold(text).indexOf(fold(nick));
  if (nick === '' || at < 0) {
    return false;
  }
  const word = /[\p{L}\p{N}_]/u;
  return !word.test(text[at - 1] ?? ' ') && !word.test(text[at + nick.length] ?? ' ');
}

/** @param {string} text @param {string} sign */
function count(text, sign) {
  return text.split(sign).length - 1;
}
