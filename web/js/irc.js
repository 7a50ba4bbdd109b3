// @ts-check
/** IRC for web pages: irc.d.ts. */

import { entry } from './lib/entry.js';
import { Irc } from './lib/irc.js';
import * as wasm from './wasm/irc.js';

export { JackfieldError } from './lib/error.js';

const file = () => new URL('./wasm/irc_bg.wasm', import.meta.url);

export const { load, open } = /* @__PURE__ */ entry(wasm, file, { irc: Irc.open });
