// @ts-check
/** How an entry's WebAssembly module is loaded. */

import { JackfieldError, made } from './error.js';

/** @import * as Api from '../index.d.ts' */

/**
 * What wasm-bindgen makes of a module, as far as all have it.
 *
 * @typedef {object} Module
 * @property {(options: { module_or_path: Api.ModuleSource }) => Promise<unknown>} default
 * @property {(make: typeof made) => void} setErrors
 */

/**
 * The `load()` of an entry: once, and again if that failed, since the network may be better by then.
 *
 * @param {() => Module | Promise<Module>} bound What wasm-bindgen makes of its module.
 * @param {() => URL} file Where its module lies. Bundlers know a file by the expression that names it, so
 *   that stands in each entry.
 * @returns {(source?: Api.ModuleSource) => Promise<void>}
 */
export function loader(bound, file) {
  /** @type {Promise<void> | undefined} */
  let loaded;
  return (source) => {
    const loading = loaded ?? instantiate(bound, file, source);
    loaded = loading;
    loading.catch(() => {
      loaded = undefined;
    });
    return loading;
  };
}

/** @param {() => Module | Promise<Module>} bound @param {() => URL} file @param {Api.ModuleSource} [source] */
async function instantiate(bound, file, source) {
  if (source === undefined && typeof document === 'undefined' && !('WorkerGlobalScope' in globalThis)) {
    throw new JackfieldError('unsupported', 'this is neither a page nor a worker: open() is for these');
  }
  try {
    const wasm = await bound();
    await wasm.default({ module_or_path: source ?? file() });
    wasm.setErrors(made);
  } catch (cause) {
    let said = cause instanceof Error ? cause.message : String(cause);
    // A server of a single page answers with that page where there is no file.
    if (said.includes('found 3c')) {
      said += `; there is HTML in its place, so it lies elsewhere than at ${source ?? file()}: see load()`;
    }
    throw new JackfieldError('other', `the WebAssembly module can't be loaded: ${said}`, { cause });
  }
}
