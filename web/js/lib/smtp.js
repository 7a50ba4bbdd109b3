// @ts-check
/** The SMTP client of a page. What it is and does: smtp.d.ts. */

import { address, kindOf, options as checked, text } from './check.js';
import { asyncDispose, settled } from './ending.js';
import { invalid } from './error.js';
import { Life, reconnect } from './life.js';
import { MAX_EVENTS, compose, source } from './mail.js';
import { WAIT, patiently } from './patience.js';
import { Reading } from './reading.js';

/** @import * as Api from '../smtp.d.ts' */

/** What `SmtpOptions` and those of the methods have, and a message. */
const OPTIONS = ['username', 'password', 'token', 'name', 'reconnect'];
const MESSAGE = ['from', 'to', 'message', 'messageId', 'smtpUtf8', 'requireTls'];
const SEND = ['progress', ...WAIT];

/** @implements {Api.Smtp} */
export class Smtp {
  #client;
  #life;
  /** @type {Reading<Api.SmtpEvent, Api.SmtpEvent>} */
  #events;

  /**
   * @param {any} network
   * @param {string | URL} url
   * @param {Api.SmtpOptions} [options]
   */
  static async open(network, url, options) {
    const at = address('address', url);
    const how = checked('smtp()', options, OPTIONS) ?? {};
    reconnect(how.reconnect);
    return new Smtp(network.smtp(at, how));
  }

  /** @param {any} client */
  constructor(client) {
    this.#client = client;
    this.#life = new Life(this, client);
    const how = { most: MAX_EVENTS, isEager: true };
    this.#events = new Reading('events', this.#life, () => client.next(), (event) => event, how);
  }

  get state() { return this.#life.state; }

  get closed() { return this.#life.closed; }

  /** @param {Api.WaitOptions} [options] */
  async next(options) { return this.#events.next(checked('next()', options, WAIT)); }

  // The loop keeps the client.
  [Symbol.asyncIterator]() { return this.#events.each(() => void this.#life); }

  /**
   * @param {Api.SmtpMessage} message
   * @param {Api.SmtpSendOptions} [options]
   * @returns {Promise<Api.SmtpSent>}
   */
  async send(message, options) {
    const { progress } = checked('send()', options, SEND) ?? {};
    const envelope = checked('the message', message, MESSAGE);
    if (envelope?.message === undefined) {
      throw invalid('the message is missing');
    }
    const { from, to, message: body, smtpUtf8, requireTls } = envelope;
    const recipients = typeof to === 'string' ? [to] : to;
    if (!Array.isArray(recipients)) {
      throw invalid(`the option to is ${kindOf(to)}, not an address or a list of them`);
    }
    text('sender', from);
    const { size, pull, failure } = await source(body, false, progress);
    const request = { from, to: recipients, smtpUtf8, requireTls, size, pull };
    try {
      return await patiently(options, (aborted) => settled(this.#client, this.#client.send(request, aborted)));
    } catch (error) {
      throw failure() ?? error;
    }
  }

  /** @param {Api.WaitOptions} [options] @returns {Promise<void>} */
  async verify(options) {
    checked('verify()', options, WAIT);
    return patiently(options, (aborted) => {
      const known = settled(this.#client, /** @type {Promise<void>} */ (this.#client.noop()));
      return aborted === undefined ? known : Promise.race([known, aborted]);
    });
  }

  /** @param {Api.MessageDraft} draft @returns {Promise<Api.ComposedMessage>} */
  async compose(draft) { return compose(this.#client, draft); }

  reconnectNow() { this.#life.reconnectNow(); }

  /** @param {Api.WaitOptions} [options] */
  async close(options) { return patiently(checked('close()', options, WAIT), () => this.#client.close()); }

  [asyncDispose]() { return this.close(); }
}
