// @ts-check
/** What all of a page may reach: policy.d.ts. */

export { JackfieldError } from './lib/error.js';
export { restrict } from './lib/policy.js';
