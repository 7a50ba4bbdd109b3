// @ts-check
/** What one types: a message, or a command that begins with a slash. */

/** @import { Irc } from '../jackfield/irc.js' */

/**
 * Does what a line says; a line of text goes to `target`.
 *
 * @param {Irc} irc
 * @param {string | null} target The conversation one stands in; null where nobody would hear.
 * @param {string} line
 * @param {{ open: (name: string) => void, quit: (reason: string) => void }} page
 * @returns {Promise<void>} Rejects with an error that can be shown.
 */
export async function perform(irc, target, line, page) {
  const command = /^\/([a-z]+)(?:\s+(.*))?$/isu.exec(line);
  if (!command || line.startsWith('//')) {
    await irc.say(here(target), line.replace(/^\/\//u, '/'));
    return;
  }
  const name = (command[1] ?? '').toLowerCase();
  const rest = (command[2] ?? '').trim();
  const [first, more] = split(rest);
  switch (name) {
    case 'join':
    case 'j': {
      const channel = first === '' ? usage('/join #channel [key]') : asChannel(first);
      await irc.join(channel, more || undefined);
      return;
    }
    case 'part':
    case 'leave':
      if (/^[#&]/u.test(first)) {
        await irc.part(first, more || undefined);
      } else {
        await irc.part(here(target), rest || undefined);
      }
      return;
    case 'me':
      await irc.action(here(target), rest || usage('/me does something'));
      return;
    case 'nick':
      await irc.setNick(first || usage('/nick name'));
      return;
    case 'msg':
    case 'query':
      if (first === '') {
        usage('/msg name text');
      }
      page.open(first);
      if (more !== '') {
        await irc.say(first, more);
      }
      return;
    case 'notice':
      await irc.notice(first, more || usage('/notice name text'));
      return;
    case 'topic':
      await irc.setTopic(here(target), rest || usage('/topic text'));
      return;
    case 'away':
      await irc.setAway(rest || undefined);
      return;
    case 'quit':
    case 'disconnect':
      page.quit(rest);
      return;
    case 'help':
      throw new Error(
        '/join #channel · /part [reason] · /msg name text · /me does something · /nick name · '
        + '/topic text · /notice name text · /away [reason] · /quit [reason]',
      );
    default:
      throw new Error(`There is no command /${name}. /help names those that there are; // begins a line with a slash.`);
  }
}

/**
 * A channel's name, with the sign that people leave out.
 * @param {string} name
 */
export function asChannel(name) {
  return /^[#&+!]/u.test(name) ? name : `#${name}`;
}

/** The first word, and the rest. @param {string} text @returns {[string, string]} */
function split(text) {
  const at = text.search(/\s/u);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at).trim()];
}

/**
 * @param {string | null} target
 * @returns {string}
 */
function here(target) {
  if (target === null) {
    throw new Error('Nobody would hear this here: open a channel, or /join one.');
  }
  return target;
}

/**
 * @param {string} text
 * @returns {never}
 */
function usage(text) {
  throw new Error(`How it goes: ${text}`);
}
