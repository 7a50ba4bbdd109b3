// @ts-check
/** Jackfield for web pages. What each thing is and does: jackfield.d.ts. */

import { address, options as checked } from './check.js';
import { Coap } from './coap.js';
import { JackfieldError } from './error.js';
import init, { Network as WasmNetwork, setErrors } from './generated/jackfield_web.js';
import { Irc } from './irc.js';
import { Mqtt } from './mqtt.js';

/** @import * as Api from './jackfield.js' */

export { JackfieldError };

/** What `OpenOptions` has. */
const OPTIONS = ['relay', 'token', 'roots', 'pins'];

/** @type {Promise<void> | undefined} */
let loaded;

/**
 * @param {Api.OpenOptions} [options]
 * @returns {Promise<Api.Network>}
 */
export async function open(options) {
  const { relay, ...others } = checked('open()', options, OPTIONS) ?? {};
  const all = relay === undefined ? others : { ...others, relay: address('relay', relay) };
  await load();
  const network = WasmNetwork.open(all);
  return {
    kind: /** @type {Api.Network['kind']} */ (network.kind ?? null),
    irc: async (url, how) => Irc.open(built(network, 'irc'), url, how),
    mqtt: async (url, how) => Mqtt.open(built(network, 'mqtt'), url, how),
    coap: async (url, how) => Coap.open(built(network, 'coap'), url, how),
  };
}

/**
 * Once, and again if that failed, since the network may be better by then.
 *
 * @param {Api.ModuleSource} [source]
 * @returns {Promise<void>}
 */
export function load(source) {
  const loading = loaded ?? instantiate(source);
  loaded = loading;
  loading.catch(() => {
    loaded = undefined;
  });
  return loading;
}

/** @param {Api.ModuleSource} [source] */
async function instantiate(source) {
  if (source === undefined && typeof document === 'undefined' && !('WorkerGlobalScope' in globalThis)) {
    throw new JackfieldError('unsupported', 'this is neither a page nor a worker: open() is for these');
  }
  // Bundlers know a file by this very expression.
  const module = source ?? new URL('./generated/jackfield_web_bg.wasm', import.meta.url);
  try {
    await init({ module_or_path: module });
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new JackfieldError('other', `the WebAssembly module can't be loaded: ${said}`, { cause });
  }
  setErrors((/** @type {Api.ErrorKind} */ kind, /** @type {string} */ message) => new JackfieldError(kind, message));
}

/** The network, where this build has the protocol. @param {WasmNetwork} network @param {string} protocol */
function built(network, protocol) {
  if (protocol in network) {
    return network;
  }
  throw new JackfieldError('unsupported', `Jackfield was built without ${protocol}`);
}
