/**
 * MQTT over the page's own WebSocket alone, in the smallest module: for brokers that speak WebSocket themselves.
 *
 * ```js
 * import { open } from 'jackfield/mqtt-websocket';
 *
 * const broker = await (await open()).mqtt('wss://broker.example.org/mqtt');
 * await broker.publish('lamp', 'on', { qos: 1 });
 * ```
 */

import type { OpenOptions } from './common.js';
import type { Network } from './mqtt.js';

export * from './mqtt.js';

/**
 * Opens it; there is nothing to choose beside the rules. Addresses are `ws:` and `wss:`; others are `unsupported`.
 *
 * @throws {JackfieldError} `invalid-input` for a policy that can't be one.
 */
export function open(options?: Pick<OpenOptions, 'policy'>): Promise<Network>;
