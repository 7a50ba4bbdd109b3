// @ts-check
/** What one types: a message, or a command that begins with a slash. */

/** @import { Irc, IrcWhois } from '../jackfield/irc.js' */

/** How many channels /list takes from the server, and how many of these it tells: those with most people. */
const MAX_LISTED = 5000;
const MAX_TOLD = 100;

/**
 * @typedef {object} Page What commands do with the page.
 * @property {(name: string) => void} open Looks at a conversation, and makes it where it isn't there.
 * @property {() => void} close Closes the one that one looks at.
 * @property {() => void} clear
 * @property {(to: string, text: string, how: 'message' | 'action' | 'notice') => Promise<void>} say
 * @property {(text: string, table?: [string, string][]) => void} tell Says something to whoever sits here.
 * @property {(reason: string) => void} quit
 *
 * @typedef {object} Call A command that was typed.
 * @property {Irc} irc
 * @property {string | null} target The conversation one stands in; null where nobody would hear.
 * @property {string} rest What stands behind the command.
 * @property {string} first Its first word.
 * @property {string} more All after that.
 * @property {Page} page
 *
 * @typedef {object} Command
 * @property {string} usage
 * @property {string} tells What it does.
 * @property {(call: Call) => Promise<unknown> | void} run
 * @property {string[]} [also] Its other names.
 */

/** By their names, in the order in which /help tells them. @type {Record<string, Command>} */
const COMMANDS = {
  join: {
    also: ['j'],
    usage: '/join #channel [key]',
    tells: 'enters a channel',
    run: async ({ irc, first, more, page }) => {
      const channel = asChannel(first || usage('join'));
      await irc.join(channel, more || undefined);
      page.open(channel);
    },
  },
  part: {
    also: ['leave'],
    usage: '/part [#channel] [reason]',
    tells: 'leaves a channel, this one if none is named',
    run: ({ irc, target, rest, first, more }) => (isChannel(first)
      ? irc.part(first, more || undefined) : irc.part(channelHere(target, 'part'), rest || undefined)),
  },
  msg: {
    also: ['m'],
    usage: '/msg name text',
    tells: 'says something to one person, or to a channel',
    run: async ({ first, more, page }) => {
      const to = more === '' ? usage('msg') : first;
      page.open(to);
      await page.say(to, more, 'message');
    },
  },
  query: {
    also: ['q'],
    usage: '/query name [text]',
    tells: 'opens a conversation with one person',
    run: async ({ first, more, page }) => {
      page.open(first || usage('query'));
      if (more !== '') {
        await page.say(first, more, 'message');
      }
    },
  },
  me: {
    usage: '/me does something',
    tells: 'tells what you do',
    run: ({ target, rest, page }) => page.say(here(target), rest || usage('me'), 'action'),
  },
  notice: {
    usage: '/notice name text',
    tells: 'says something that nothing answers by itself',
    run: ({ first, more, page }) => page.say(first, more || usage('notice'), 'notice'),
  },
  nick: {
    usage: '/nick name',
    tells: 'changes your nickname',
    run: ({ irc, first }) => irc.setNick(first || usage('nick')),
  },
  topic: {
    usage: '/topic [text]',
    tells: "shows this channel's topic, or changes it",
    run: async ({ irc, target, rest, page }) => {
      const channel = channelHere(target, 'topic');
      if (rest !== '') {
        await irc.setTopic(channel, rest);
        return;
      }
      const topic = await irc.topic(channel);
      page.tell(topic ? `The topic of ${channel}: ${topic}` : `${channel} has no topic.`);
    },
  },
  whois: {
    also: ['w'],
    usage: '/whois name',
    tells: 'tells who somebody is',
    run: async ({ irc, first, page }) => {
      const nick = first || usage('whois');
      const who = await irc.whois(nick);
      page.tell(who ? `${who.nick} is ${who.realname || 'here'}.` : `The server tells nothing of ${nick}.`, who ? facts(who) : undefined);
    },
  },
  list: {
    usage: '/list [mask]',
    tells: "tells the server's channels, those with most people first",
    run: async ({ irc, first, page }) => {
      const found = [];
      for await (const entry of irc.list({ names: first || undefined })) {
        found.push(entry);
        if (found.length === MAX_LISTED) {
          break;
        }
      }
      const told = found.sort((a, b) => b.members - a.members).slice(0, MAX_TOLD);
      const all = `${found.length === MAX_LISTED ? 'At least ' : ''}${found.length} channel${found.length === 1 ? '' : 's'}`;
      const rest = told.length < found.length ? `, of which ${told.length} are here` : '';
      page.tell(`${all}${rest}.`, told.map(({ channel, members, topic }) => [`${channel} (${members})`, topic]));
    },
  },
  invite: {
    usage: '/invite name [#channel]',
    tells: 'asks somebody into a channel, this one if none is named',
    run: async ({ irc, target, first, more, page }) => {
      const [nick, channel] = [first || usage('invite'), more || channelHere(target, 'invite')];
      await irc.invite(nick, channel);
      page.tell(`${nick} is asked into ${channel}.`);
    },
  },
  kick: {
    also: ['k'],
    usage: '/kick name [reason]',
    tells: 'removes somebody from this channel',
    run: ({ irc, target, first, more }) => irc.kick(channelHere(target, 'kick'), first || usage('kick'), more || undefined),
  },
  mode: {
    usage: '/mode [name] [modes] [parameters]',
    tells: "shows this channel's modes, or changes them, as in /mode +o name",
    run: async ({ irc, target, rest, page }) => {
      const words = rest.split(/\s+/u).filter(Boolean);
      const named = words.length > 0 && !/^[+-]/u.test(words[0] ?? '');
      const of = (named ? words.shift() : undefined) ?? channelHere(target, 'mode');
      const [modes, ...params] = words;
      if (modes !== undefined) {
        await irc.setMode(of, modes, ...params);
        return;
      }
      const set = await irc.modes(of);
      page.tell(`The modes of ${of}: ${[set.modes || 'none', ...set.params].join(' ')}`);
    },
  },
  raw: {
    also: ['quote'],
    usage: '/raw COMMAND [parameters] [:the last one]',
    tells: "sends a line as it is; what answers is in the server's log",
    run: ({ irc, rest }) => {
      const [front = '', ...last] = ` ${rest}`.split(/ :(.*)/su);
      const [command, ...params] = front.split(/\s+/u).filter(Boolean);
      return irc.raw(command ?? usage('raw'), ...params, ...last.slice(0, 1));
    },
  },
  away: {
    usage: '/away [reason]',
    tells: 'says that you are away',
    run: async ({ irc, rest, page }) => {
      await irc.setAway(rest || 'away');
      page.tell('You are away. /back says that you are here again.');
    },
  },
  back: {
    usage: '/back',
    tells: 'says that you are here again',
    run: async ({ irc, page }) => {
      await irc.setAway();
      page.tell('You are back.');
    },
  },
  clear: { usage: '/clear', tells: 'empties this log', run: ({ page }) => page.clear() },
  close: { also: ['wc'], usage: '/close', tells: 'closes this conversation', run: ({ page }) => page.close() },
  quit: {
    also: ['disconnect', 'exit', 'bye'],
    usage: '/quit [reason]',
    tells: 'leaves the server',
    run: ({ page, rest }) => page.quit(rest),
  },
  help: {
    also: ['commands'],
    usage: '/help [command]',
    tells: 'tells what there is to type',
    run: ({ first, page }) => help(first.replace(/^\//u, ''), page),
  },
};

/** What the keyboard does. @type {[string, string][]} */
const KEYS = [
  ['Tab', "completes a name or a command; again for the next one, with Shift for the one before"],
  ['↑ ↓', 'what was typed before'],
  ['Alt ↑ ↓', 'the conversation above or below; with Shift, the next one with something unread'],
  ['Page ↑ ↓', 'moves the log'],
  ['Escape', 'undoes a completion, else goes to the newest message'],
  ['Shift Enter', 'begins a new line'],
];

/** @type {Map<string, Command>} */
const byName = new Map(Object.entries(COMMANDS).flatMap(
  ([name, command]) => [name, ...command.also ?? []].map((known) => /** @type {[string, Command]} */ ([known, command])),
));

/** The commands that one completes. */
export const names = Object.keys(COMMANDS);

/**
 * Does what a line says; a line of text goes to `target`.
 *
 * @param {Irc} irc
 * @param {string | null} target The conversation one stands in; null where nobody would hear.
 * @param {string} line
 * @param {Page} page
 * @returns {Promise<void>} Rejects with an error that can be shown.
 */
export async function perform(irc, target, line, page) {
  const command = /^\/(\S+)(?:\s+(.*))?$/su.exec(line);
  if (!command || line.startsWith('//')) {
    await page.say(here(target), line.replace(/^\/\//u, '/'), 'message');
    return;
  }
  const rest = (command[2] ?? '').trim();
  const [first, more] = split(rest);
  await found(command[1] ?? '').run({ irc, target, rest, first, more, page });
}

/** What is known of somebody. @param {IrcWhois} who @returns {[string, string][]} */
function facts(who) {
  /** @type {[string, string | null][]} */
  const all = [
    ['address', `${who.username}@${who.host}`],
    ['account', who.account],
    ['away', who.away],
    ['channels', who.channels.join(' ')],
    ['server', [who.server, who.serverInfo].filter(Boolean).join(', ')],
    ['idle', who.idle === null ? null : `${Math.round(who.idle / 60_000)} min`],
    ['here since', who.signedOn === null ? null : new Date(who.signedOn).toLocaleString()],
    ['connection', who.secure ? 'TLS' : null],
    ['operator', who.operator ? 'of the network' : null],
    ['also', who.other.join('; ')],
  ];
  return /** @type {[string, string][]} */ (all.filter(([, value]) => value));
}

/** @param {string} name */
function found(name) {
  const command = byName.get(name.toLowerCase());
  if (!command) {
    throw new Error(`There is no command /${name}. /help names those that there are; // begins a line with a slash.`);
  }
  return command;
}

/** @param {string} name @param {Page} page */
function help(name, page) {
  if (name !== '') {
    const { usage: how, tells, also } = found(name);
    page.tell(`${how}: ${tells}.${also ? ` Also /${also.join(', /')}.` : ''}`);
    return;
  }
  page.tell('What one can type:', Object.values(COMMANDS).map(({ usage: how, tells }) => [how, tells]));
  page.tell('What the keys do:', KEYS);
}

/**
 * A channel's name, with the sign that people leave out.
 * @param {string} name
 */
export function asChannel(name) {
  return isChannel(name) ? name : `#${name}`;
}

/** @param {string} name */
export function isChannel(name) {
  return /^[#&+!]/u.test(name);
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

/** @param {string | null} target @param {string} name Of the command. @returns {string} */
function channelHere(target, name) {
  if (target === null || !isChannel(target)) {
    throw new Error(`/${name} is for channels, and this is none.`);
  }
  return target;
}

/**
 * @param {string} name Of the command.
 * @returns {never}
 */
function usage(name) {
  throw new Error(`How it goes: ${COMMANDS[name]?.usage}`);
}
