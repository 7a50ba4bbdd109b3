// @ts-check
/** Direct Sockets on any page: direct-sockets.d.ts. */

import { MulticastController } from './lib/direct/multicast.js';
import { TCPServerSocket } from './lib/direct/server.js';
import { TCPSocket } from './lib/direct/tcp.js';
import { UDPSocket } from './lib/direct/udp.js';
import { use } from './lib/direct/way.js';
import { entry } from './lib/entry.js';
import * as wasm from './wasm/direct-sockets.js';

/** @import * as Api from './direct-sockets.js' */

export { JackfieldError } from './lib/error.js';
export { MulticastController, TCPServerSocket, TCPSocket, UDPSocket };

const file = () => new URL('./wasm/direct-sockets_bg.wasm', import.meta.url);

const made = /* @__PURE__ */ entry(wasm, file, { use });

export const load = made.load;

/** @param {Api.OpenOptions} [options] @returns {Promise<Api.Network>} */
export async function open(options) {
  const network = /** @type {Api.Network} */ (await made.open(options));
  await network.use();
  return network;
}

/** Where a class says which one of the browser's it has replaced; the way to Direct Sockets looks there. */
const NATIVE = Symbol.for('jackfield.native');

/** @param {typeof globalThis} target */
export function install(target) {
  for (const [name, made] of Object.entries({ MulticastController, TCPServerSocket, TCPSocket, UDPSocket })) {
    const replaced = Reflect.get(target, name);
    if (replaced === made) {
      continue;
    }
    Object.defineProperty(made, NATIVE, { value: replaced ?? null, configurable: true });
    Object.defineProperty(target, name, { value: made, configurable: true, writable: true });
  }
}
