// @ts-check
/** MQTT for web pages: mqtt.d.ts. */

import { entry } from './lib/entry.js';
import { Mqtt } from './lib/mqtt.js';
import * as wasm from './wasm/mqtt.js';

export { JackfieldError } from './lib/error.js';

const file = () => new URL('./wasm/mqtt_bg.wasm', import.meta.url);

export const { load, open } = /* @__PURE__ */ entry(wasm, file, { mqtt: Mqtt.open });
