// @ts-check
/** CoAP for web pages: coap.d.ts. */

import { Coap, CoapGroup } from './lib/coap.js';
import { entry } from './lib/entry.js';
import * as wasm from './wasm/coap.js';

export { JackfieldError } from './lib/error.js';

const file = () => new URL('./wasm/coap_bg.wasm', import.meta.url);

export const { load, open } = /* @__PURE__ */ entry(wasm, file, { coap: Coap.open, coapGroup: CoapGroup.open });
