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

import type { Network } from './mqtt.js';

export * from './mqtt.js';

/** Opens it; there is nothing to choose. Addresses are `ws:` and `wss:`; others are `unsupported`. */
export function open(): Promise<Network>;
