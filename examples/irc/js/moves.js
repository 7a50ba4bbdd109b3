// @ts-check
/** Comings and goings: what many joins and quits come to, in one line. */

/**
 * @typedef {object} Move Somebody came, went, or is called something else.
 * @property {'came' | 'went' | 'renamed'} what
 * @property {string} nick
 * @property {string} text The move by itself, as a sentence.
 * @property {number} time Milliseconds since 1970.
 */

/** How many moves one line keeps; the next one begins another. */
export const MAX_MOVES = 100;
/** How many people a line names; of more, it says how many. */
const NAMED = 4;

/**
 * What these come to: `ada and bob joined; carol left`.
 * @param {Move[]} moves
 */
export function summary(moves) {
  if (moves.length === 1) {
    return moves[0]?.text ?? '';
  }
  // Who comes and goes again and again is told once, by how it began and how it ended.
  /** @type {Map<string, { first: Move['what'], last: Move['what'] }>} */
  const people = new Map();
  const renamed = [];
  for (const { what, nick, text } of moves) {
    if (what === 'renamed') {
      renamed.push(text);
      continue;
    }
    const known = people.get(nick);
    if (known) {
      known.last = what;
    } else {
      people.set(nick, { first: what, last: what });
    }
  }
  const who = (/** @type {Move['what']} */ first, /** @type {Move['what']} */ last) =>
    [...people].filter(([, moved]) => moved.first === first && moved.last === last).map(([nick]) => nick);
  const parts = [
    told(who('came', 'came'), 'joined'),
    told(who('went', 'went'), 'left'),
    told(who('came', 'went'), 'came and went'),
    told(who('went', 'came'), 'left and came back'),
    renamed.length > 1 ? `${renamed.length} changed their names` : renamed.map((text) => text.replace(/\.$/u, '')).join(''),
  ];
  return `${parts.filter(Boolean).join('; ')}.`;
}

/** @param {string[]} nicks @param {string} what */
function told(nicks, what) {
  if (nicks.length === 0) {
    return '';
  }
  if (nicks.length > NAMED) {
    const others = nicks.length - NAMED + 1;
    return `${nicks.slice(0, NAMED - 1).join(', ')} and ${others} others ${what}`;
  }
  const last = nicks.at(-1);
  return nicks.length === 1 ? `${last} ${what}` : `${nicks.slice(0, -1).join(', ')} and ${last} ${what}`;
}
