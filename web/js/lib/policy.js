// @ts-check
/** What a page may reach: what `Policy` has, checked, and as the module takes it. */

import { kindOf, options as checked } from './check.js';
import { JackfieldError, invalid } from './error.js';

/** @import * as Api from '../policy.d.ts' */

/** What `Policy` has. */
const POLICY = ['allow', 'sameDomain', 'deny', 'listen', 'ask', 'report'];
/** The lists of rules among them. */
const LISTS = /** @type {const} */ (['allow', 'deny', 'listen']);

/** What is asked for: what is to be done, over what, and where. @typedef {[string, string, string, number]} Told */

/**
 * Where a realm keeps what it is restricted to: a function that takes one policy more, and gives all of them. In the
 * global object, so that every copy of this package finds it.
 */
const RESTRICTED = Symbol.for('jackfield.policy');

/** @typedef {Readonly<Api.Policy> | JackfieldError} Restriction A policy, or why there can't be any network. */

/** @returns {((more?: Restriction) => Restriction[]) | undefined} */
function restricted() { return Reflect.get(globalThis, RESTRICTED); }

/**
 * Holds this realm to a policy besides those that it is held to.
 *
 * @param {Restriction} policy
 */
function hold(policy) {
  if (!restricted()) {
    /** @type {Restriction[]} */
    const all = [];
    /** @param {Restriction} [more] */
    const value = (more) => {
      if (more !== undefined) {
        all.push(more);
      }
      return [...all];
    };
    Object.defineProperty(globalThis, RESTRICTED, { value });
  }
  restricted()?.(policy);
}

/**
 * What `restrict()` does.
 *
 * @param {Api.Policy} policy
 */
export function restrict(policy) {
  try {
    if (policy === undefined) {
      throw invalid('the options of restrict() are missing, not an object');
    }
    const copy = copied('restrict()', policy);
    host(copy);
    hold(copy);
  } catch (error) {
    // A restriction that was meant and doesn't hold is worse than none that was meant.
    hold(/** @type {JackfieldError} */ (error));
    throw error;
  }
}

/**
 * A page's policy, copied: what it changes later changes nothing.
 *
 * @param {string} what Whose it is, for the error.
 * @param {Api.Policy} policy
 * @returns {Readonly<Api.Policy>}
 */
function copied(what, policy) {
  checked(what, policy, POLICY);
  /** @type {Api.Policy} */
  const copy = { ...policy };
  for (const list of LISTS) {
    const rules = copy[list];
    if (rules === undefined) {
      continue;
    }
    if (!Array.isArray(rules)) {
      throw invalid(`${what}: ${list} is ${kindOf(rules)}, not an array of rules`);
    }
    const wrong = rules.find((rule) => typeof rule !== 'string');
    if (wrong !== undefined) {
      throw invalid(`${what}: ${list} has ${kindOf(wrong)} in the place of a rule, which is a string`);
    }
    copy[list] = Object.freeze([...rules]);
  }
  const { sameDomain } = copy;
  if (sameDomain !== undefined && typeof sameDomain !== 'boolean') {
    throw invalid(`${what}: sameDomain is ${kindOf(sameDomain)}, not true or false`);
  }
  for (const hook of /** @type {const} */ (['ask', 'report'])) {
    if (copy[hook] !== undefined && typeof copy[hook] !== 'function') {
      throw invalid(`${what}: ${hook} is ${kindOf(copy[hook])}, not a function`);
    }
  }
  return Object.freeze(copy);
}

/**
 * What the rules' module has for it.
 *
 * @typedef {{ read(policies: object[]): object }} RulesReader
 */

/** Once the rules' module is loaded. @type {RulesReader | undefined} */
let Rules;

/** Has the rules read by this class. @param {RulesReader} made */
export function useRules(made) { Rules = made; }

/**
 * Whether a network is held to anything: then the rules' module has to be there.
 *
 * @param {Readonly<Api.Policy> | undefined} own
 */
export function isHeld(own) { return own !== undefined || (restricted()?.() ?? []).length > 0; }

/**
 * What a network is held to, as its module takes it: to what its realm is restricted to, and to the page's own policy.
 *
 * @param {Readonly<Api.Policy> | undefined} own
 */
export function held(own) {
  if (!isHeld(own)) {
    return {};
  }
  const all = (restricted()?.() ?? []).map((policy) => {
    if (policy instanceof Error) {
      throw new JackfieldError('denied', `nothing can be opened here: ${policy.message}`, { where: 'policy', cause: policy });
    }
    return forModule('restrict()', policy);
  });
  if (own !== undefined) {
    all.push(forModule('policy', own));
  }
  if (!Rules) {
    throw new JackfieldError('denied', 'the module that reads the rules is not loaded', { where: 'policy' });
  }
  return { rules: Rules.read(all), ask: all.flatMap(({ ask }) => ask ?? []) };
}

/**
 * The policy of `open()`, checked before anything else is done.
 *
 * @param {Api.Policy | undefined} policy
 */
export function ofPage(policy) {
  return policy === undefined ? undefined : copied('policy', policy);
}

/** @param {string} name @param {Readonly<Api.Policy>} policy */
function forModule(name, policy) {
  // Another copy of this package may have taken it.
  const { ask, report, ...rules } = copied(name, policy);
  return {
    ...rules,
    name,
    sameDomain: host(policy),
    ...(ask && { ask: asking(ask) }),
    ...(report && { report: reporting(report) }),
  };
}

/** The page's host, where a policy wants it. @param {Readonly<Api.Policy>} policy */
function host(policy) {
  if (!policy.sameDomain) {
    return undefined;
  }
  // A worker that was made of a blob has the origin of the page that made it.
  const { hostname, origin, href } = location;
  const found = hostname || (origin === 'null' ? '' : new URL(origin).hostname);
  if (!found) {
    throw invalid(`sameDomain: ${href} has no host`);
  }
  return found.replace(/^\[(.*)\]$/u, '$1');
}

/** @param {NonNullable<Api.Policy['ask']>} ask */
function asking(ask) {
  return (/** @type {Told} */ ...told) => {
    const withdrawn = new AbortController();
    const request = Object.freeze({ ...asRequest(told), signal: withdrawn.signal });
    const answer = async () => {
      // Not while the module is at work, which asks.
      await undefined;
      try {
        const said = await ask(request);
        return typeof said === 'boolean' ? said : `the answer is ${kindOf(said)}, not true or false`;
      } catch (error) {
        return String(error);
      }
    };
    return [answer(), () => withdrawn.abort()];
  };
}

/** @param {NonNullable<Api.Policy['report']>} report */
function reporting(report) {
  return (/** @type {[...Told, string]} */ ...told) => {
    const [action, transport, at, port, reason] = told;
    const refused = Object.freeze({ ...asRequest([action, transport, at, port]), reason });
    // What it throws is told as what nobody catches is.
    queueMicrotask(() => report(refused));
  };
}

/** @param {Told} told */
function asRequest([action, transport, at, port]) {
  return /** @type {Api.PolicyRequest} */ ({ action, transport, host: at, port });
}
