// @ts-check
/** IMAP and SMTP for web pages, in one module: mail.d.ts. */

import { entry } from './lib/entry.js';
import { Imap } from './lib/imap.js';
import { Smtp } from './lib/smtp.js';
import * as wasm from './wasm/mail.js';

export { JackfieldError } from './lib/error.js';
export { deleteMailCopy, openMailCopy } from './lib/mail-copy.js';

const file = () => new URL('./wasm/mail_bg.wasm', import.meta.url);

export const { load, open } = /* @__PURE__ */ entry(wasm, file, { imap: Imap.open, smtp: Smtp.open });
