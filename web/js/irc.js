// @ts-check
/** The IRC client of a page. What it is and does: jackfield.d.ts. */

/** @import * as Api from './jackfield.d.ts' */

/** @implements {Api.Irc} */
export class Irc {
  #client;

  /** @param {import('./generated/jackfield_web.js').Irc} client */
  constructor(client) {
    this.#client = client;
  }

  next() { return this.#client.next(); }

  async* [Symbol.asyncIterator]() {
    try {
      for (;;) {
        const event = await this.next();
        if (event === null) {
          return;
        }
        yield event;
      }
    } finally {
      // Whoever leaves the loop has done with the connection.
      void this.close();
    }
  }

  /** @param {string} channel @param {string} [key] */
  join(channel, key) { return this.#client.join(channel, key); }

  /** @param {string} channel @param {string} [reason] */
  part(channel, reason) { return this.#client.part(channel, reason); }

  /** @param {string} target @param {string} text */
  say(target, text) { return this.#client.say(target, text); }

  /** @param {string} target @param {string} text */
  action(target, text) { return this.#client.action(target, text); }

  /** @param {string} target @param {string} text */
  notice(target, text) { return this.#client.notice(target, text); }

  /** @param {string} channel */
  topic(channel) { return this.#client.topic(channel); }

  /** @param {string} channel @param {string} topic */
  setTopic(channel, topic) { return this.#client.setTopic(channel, topic); }

  /** @param {string} nick */
  setNick(nick) { return this.#client.setNick(nick); }

  /** @param {string} [reason] */
  setAway(reason) { return this.#client.setAway(reason); }

  /** @param {string} [reason] */
  close(reason) { return this.#client.close(reason); }
}
