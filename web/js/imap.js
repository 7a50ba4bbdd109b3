// @ts-check
/** IMAP for web pages: imap.d.ts. */

import { entry } from './lib/entry.js';
import { Imap } from './lib/imap.js';
import * as wasm from './wasm/imap.js';

export { JackfieldError } from './lib/error.js';
export { deleteMailCopy, openMailCopy } from './lib/mail-copy.js';

const file = () => new URL('./wasm/imap_bg.wasm', import.meta.url);

export const { load, open } = /* @__PURE__ */ entry(wasm, file, { imap: Imap.open });
