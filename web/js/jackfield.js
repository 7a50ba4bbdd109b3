// @ts-check
/** Jackfield for web pages. What each thing is and does: jackfield.d.ts. */

import { Coap } from './coap.js';
import init, { Network as WasmNetwork } from './generated/jackfield_web.js';
import { Irc } from './irc.js';
import { Mqtt } from './mqtt.js';

/** @import * as Api from './jackfield.d.ts' */

/** @type {Promise<unknown> | undefined} */
let loaded;

/**
 * @param {Api.OpenOptions} options
 * @returns {Promise<Api.Network>}
 */
export async function open(options = {}) {
  // Loaded once, and tried again if that failed: the network may be better by then.
  const module = new URL('./generated/jackfield_web_bg.wasm', import.meta.url);
  loaded ??= init({ module_or_path: module }).catch((error) => {
    loaded = undefined;
    throw error;
  });
  await loaded;
  const network = WasmNetwork.open(options);
  return {
    kind: /** @type {Api.Network['kind']} */ (network.kind ?? null),
    irc: async (to) => new Irc(built(network, 'irc').irc(to)),
    mqtt: async (url, how = {}) => new Mqtt(await built(network, 'mqtt').mqtt(url, how)),
    coap: async (url, how = {}) => new Coap(await built(network, 'coap').coap(url, how)),
  };
}

/** The network, where this build has the protocol. @param {WasmNetwork} network @param {string} protocol */
function built(network, protocol) {
  if (protocol in network) {
    return network;
  }
  const error = new Error(`Jackfield was built without ${protocol}`);
  throw Object.assign(error, { name: 'JackfieldError', kind: 'unsupported' });
}
