// @ts-check
/** MQTT over the page's own WebSocket alone: mqtt-websocket.d.ts. */

import { entry } from './lib/entry.js';
import { Mqtt } from './lib/mqtt.js';
import * as wasm from './wasm/mqtt-websocket.js';

export { JackfieldError } from './lib/error.js';

const file = () => new URL('./wasm/mqtt-websocket_bg.wasm', import.meta.url);

export const { load, open } = /* @__PURE__ */ entry(wasm, file, { mqtt: Mqtt.open }, ['policy']);
