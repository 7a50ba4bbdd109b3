// @ts-check
/** What each entry of the package is made of: `open()` and `load()` over its WebAssembly module. */

import { address, options as checked } from './check.js';
import { Clients } from './clients.js';
import { asyncDispose } from './ending.js';
import { loader } from './load.js';
import { held, isHeld, ofPage } from './policy.js';
import { asked } from './token.js';

/** @import * as Api from '../index.d.ts' */

/** @typedef {import('./load.js').Module & { Network: { open(options: object): any } }} Module */

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
  const load = loader(() => wasm, file);

  /** @param {Api.OpenOptions} [options] @returns {Promise<any>} */
  async function open(options) {
    const { relay, token, policy, ...others } = checked('open()', options, names) ?? {};
    const all = {
      ...others,
      relay: relay === undefined ? undefined : address('relay', relay),
      token: typeof token === 'function' ? asked(token) : token,
    };
    const own = ofPage(policy);
    await Promise.all([load(), isHeld(own) && loadRules()]);
    // Rules may have come meanwhile. From here on nothing waits.
    if (isHeld(own)) {
      await loadRules();
    }
    const network = wasm.Network.open({ ...all, ...held(own) });
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

/** The rules are in a module of their own, as most pages have none. */
async function loadRules() {
  const { load } = await import('../policy.js');
  await load();
}
