// @ts-check
/** MQTT and CoAP for web pages: iot.d.ts. */

import { Coap, CoapGroup } from './lib/coap.js';
import { entry } from './lib/entry.js';
import { Mqtt } from './lib/mqtt.js';
import * as wasm from './wasm/iot.js';

export { JackfieldError } from './lib/error.js';

const file = () => new URL('./wasm/iot_bg.wasm', import.meta.url);

export const { load, open } = /* @__PURE__ */ entry(wasm, file, {
  mqtt: Mqtt.open,
  coap: Coap.open,
  coapGroup: CoapGroup.open,
});
