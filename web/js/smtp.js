// @ts-check
/** SMTP for web pages: smtp.d.ts. */

import { entry } from './lib/entry.js';
import { Smtp } from './lib/smtp.js';
import * as wasm from './wasm/smtp.js';

export { JackfieldError } from './lib/error.js';

const file = () => new URL('./wasm/smtp_bg.wasm', import.meta.url);

export const { load, open } = /* @__PURE__ */ entry(wasm, file, { smtp: Smtp.open });
