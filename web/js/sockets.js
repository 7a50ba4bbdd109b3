// @ts-check
/** Sockets for web pages: sockets.d.ts. */

import { entry } from './lib/entry.js';
import { Socket } from './lib/socket.js';
import { connect as connectOver } from './lib/wintertc.js';
import * as wasm from './wasm/sockets.js';

/** @import * as Api from './sockets.js' */

export { JackfieldError } from './lib/error.js';
export { SocketError } from './lib/wintertc.js';

const file = () => new URL('./wasm/sockets_bg.wasm', import.meta.url);

const made = /* @__PURE__ */ entry(wasm, file, { connect: Socket.connect });

/** The network that `connect()` goes over. @type {Api.Network | undefined} */
let own;

export const load = made.load;

/** @param {Api.OpenOptions} [options] @returns {Promise<Api.Network>} */
export async function open(options) {
  own = await made.open(options);
  return /** @type {Api.Network} */ (own);
}

/** @param {Api.AnySocketAddress} address @param {Api.SocketOptions | null} [options] */
export function connect(address, options) { return connectOver(own, address, options); }
