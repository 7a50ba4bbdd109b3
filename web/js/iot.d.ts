/** MQTT and CoAP in a page: what `jackfield/mqtt` and `jackfield/coap` have, in one module. */

import type { OpenOptions } from './common.js';
import type { Network as MqttNetwork } from './mqtt.js';
import type { Network as CoapNetwork } from './coap.js';

export * from './common.js';
export * from './mqtt.js';
export * from './coap.js';

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network. */
export interface Network extends MqttNetwork, CoapNetwork {}
