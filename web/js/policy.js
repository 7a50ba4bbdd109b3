// @ts-check
/** What all of a page may reach: policy.d.ts. Entries load it, and its module, where a page has rules. */

import { loader } from './lib/load.js';
import { useRules } from './lib/policy.js';

export { JackfieldError } from './lib/error.js';
export { restrict } from './lib/policy.js';

const file = () => new URL('./wasm/policy_bg.wasm', import.meta.url);

// Whoever only restricts needs none of it yet.
const bound = async () => {
  const wasm = await import('./wasm/policy.js');
  useRules(wasm.Rules);
  return wasm;
};

export const load = /* @__PURE__ */ loader(bound, file);
