/**
 * Rules for all of a page, or of a worker: for whoever deploys an app, and not for the app itself.
 *
 * ```js
 * import { restrict } from 'jackfield/policy';
 *
 * restrict({ allow: ['*.example.org:993,465'], deny: ['secret.example.org:*'] });
 * ```
 */

import type { ModuleSource, Policy } from './common.js';

export { JackfieldError } from './common.js';
export type { ErrorKind, JackfieldErrorOptions, ModuleSource, Policy, PolicyRefusal, PolicyRequest, RelayCode } from './common.js';

/**
 * Holds every network that is opened from now on in this realm to a policy, by whichever entry of this package, and
 * whichever copy of it: besides their own, and besides what was called before. There is no way to take it back:
 * `restrict({})` switches all of it off until the page is loaded again.
 *
 * Call it in a script that runs before the app's, and in each worker and frame of the app's besides: each is a realm
 * of its own. A network that is open already stays as it is.
 *
 * It holds an app to what it should do, not one that means to escape: a script in the same page can speak to the
 * relay by itself, or take a copy of this package that was changed. What no page can undo stands elsewhere: docs/policy.md.
 *
 * @throws {JackfieldError} `invalid-input` for what is no policy. **Nothing can be opened then**: `open()` is `denied`.
 *   Whether its rules can be read is seen when a network is opened: where they can't, `open()` is `invalid-input`.
 */
export function restrict(policy: Policy): void;

/**
 * Loads the module that reads and applies rules, which every entry's `open()` does by itself where there are any: nobody
 * else downloads it. As `load()` of the entries, for where it isn't found: it is `wasm/policy_bg.wasm`.
 *
 * @throws {JackfieldError} As `load()` of the entries.
 */
export function load(source?: ModuleSource): Promise<void>;
