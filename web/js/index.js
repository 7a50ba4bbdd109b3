// @ts-check
/** Jackfield for web pages, with all protocols: index.d.ts. */

import { Coap, CoapGroup } from './lib/coap.js';
import { entry } from './lib/entry.js';
import { Imap } from './lib/imap.js';
import { Irc } from './lib/irc.js';
import { Mqtt } from './lib/mqtt.js';
import { Smtp } from './lib/smtp.js';
import { Socket } from './lib/socket.js';
import * as wasm from './wasm/index.js';

export { JackfieldError } from './lib/error.js';
export { deleteMailCopy, openMailCopy } from './lib/mail-copy.js';

const file = () => new URL('./wasm/index_bg.wasm', import.meta.url);

export const { load, open } = /* @__PURE__ */ entry(wasm, file, {
  irc: Irc.open,
  mqtt: Mqtt.open,
  coap: Coap.open,
  coapGroup: CoapGroup.open,
  imap: Imap.open,
  smtp: Smtp.open,
  connect: Socket.connect,
});
