// @ts-check
/** What each entry of the package is made of: `open()` and `load()` over its WebAssembly module. */

import { address, options as checked } from './check.js';
import { Clients } from './clients.js';
import { asyncDispose } from './ending.js';
import { JackfieldError, made } from './error.js';
import { ofPage, policies } from './policy.js';
import { asked } from './token.js';

/** @import * as Api from '../index.d.ts' */

/**
 * What wasm-bindgen makes of an entry's module, as far as all have it.
 *
 * @typedef {object} Module
 * @property {(options: { module_or_path: Api.ModuleSource }) => Promise<unknown>} default
 * @property {{ open(options: object): any }} Network
 * @property {(make: typeof made) => void} setErrors
 */

/** What `OpenOptions` has. */
const OPTIONS = ['relay', 'token', 'roots', 'pins', 'policy'];

/**
 * The entry's functions. Each of `methods` becomes a method of the networks that it opens.
 *
 * @param {Module} wasm
 * @param {() => URL} file Where its module lies. Bundlers know a file by the expression that names it, so
 *   that stands in each entry.
 * @param {{ [method: string]: (network: any, ...rest: any[]) => any }} methods
 * @param {readonly string[]} [names] Which options its `open()` has.
 */
export function entry(wasm, file, methods, names = OPTIONS) {
  /** @type {Promise<void> | undefined} */
  let loaded;

  /**
   * Once, and again if that failed, since the network may be better by then.
   *
   * @param {Api.ModuleSource} [source]
   * @returns {Promise<void>}
   */
  function load(source) {
    const loading = loaded ?? instantiate(wasm, file, source);
    loaded = loading;
    loading.catch(() => {
      loaded = undefined;
    });
    return loading;
  }

  /** @param {Api.OpenOptions} [options] @returns {Promise<any>} */
  async function open(options) {
    const { relay, token, policy, ...others } = checked('open()', options, names) ?? {};
    const all = {
      ...others,
      relay: relay === undefined ? undefined : address('relay', relay),
      token: typeof token === 'function' ? asked(token) : token,
    };
    const own = ofPage(policy);
    await load();
    const network = wasm.Network.open({ ...all, policies: policies(own) });
    const clients = new Clients(network);
    const close = () => clients.close();
    /** @type {{ [name: string | symbol]: unknown }} */
    const opened = { kind: network.kind ?? null, close, [asyncDispose]: close };
    for (const [name, method] of Object.entries(methods)) {
      opened[name] = (/** @type {any[]} */ ...rest) => clients.add(method(network, ...rest));
    }
    return opened;
  }

  return { load, open };
}

/** @param {Module} wasm @param {() => URL} file @param {Api.ModuleSource} [source] */
async function instantiate(wasm, file, source) {
  if (source === undefined && typeof document === 'undefined' && !('WorkerGlobalScope' in globalThis)) {
    throw new JackfieldError('unsupported', 'this is neither a page nor a worker: open() is for these');
  }
  try {
    await wasm.default({ module_or_path: source ?? file() });
  } catch (cause) {
    let said = cause instanceof Error ? cause.message : String(cause);
    // A server of a single page answers with that page where there is no file.
    if (said.includes('found 3c')) {
      said += `; there is HTML in its place, so it lies elsewhere than at ${source ?? file()}: see load()`;
    }
    throw new JackfieldError('other', `the WebAssembly module can't be loaded: ${said}`, { cause });
  }
  wasm.setErrors(made);
}
