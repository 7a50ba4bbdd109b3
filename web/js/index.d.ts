/**
 * Jackfield for web pages: protocol clients over TCP and UDP, in any page.
 *
 * A chat:
 *
 * ```js
 * import { open } from 'jackfield';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * const irc = await network.irc('ircs://irc.example.org', { nick: 'ada', channels: ['#rust'] });
 * for await (const event of irc) {
 *   if (event.type === 'message') console.log(event.from, event.text);
 * }
 * ```
 *
 * A live topic:
 *
 * ```js
 * const broker = await network.mqtt('mqtts://broker.example.org');
 * for await (const message of broker.subscribe('kitchen/+')) {
 *   console.log(message.topic, message.text());
 * }
 * ```
 *
 * An observed sensor, and a lamp:
 *
 * ```js
 * const device = await network.coap('coap://192.168.1.20');
 * await device.put('/light', 'on');
 * for await (const reading of device.observe('/temperature')) {
 *   console.log(reading.text());
 * }
 * ```
 */

import type { OpenOptions } from './common.js';
import type { Network as IrcNetwork } from './irc.js';
import type { Network as MqttNetwork } from './mqtt.js';
import type { Network as CoapNetwork } from './coap.js';
import type { Network as ImapNetwork } from './imap.js';
import type { Network as SmtpNetwork } from './smtp.js';
import type { SocketNetwork } from './socket.js';

export * from './common.js';
export * from './irc.js';
export * from './mqtt.js';
export * from './coap.js';
export * from './imap.js';
export * from './smtp.js';
export * from './socket.js';

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network. */
export interface Network
  extends IrcNetwork, MqttNetwork, CoapNetwork, ImapNetwork, SmtpNetwork, SocketNetwork {}
