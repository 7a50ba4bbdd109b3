// @ts-check
/** The page's function that gives the token for the relay. What it may give and throw: common.d.ts. */

import { kindOf } from './check.js';
import { JackfieldError, invalid } from './error.js';

/** @import * as Api from '../common.d.ts' */

/**
 * What the module asks for a token: what it gives is one, or fails as everything here does.
 *
 * @param {() => string | Promise<string>} give The page's function.
 * @returns {() => Promise<string>}
 */
export function asked(give) {
  return async () => {
    // Not while the module is at work, which asks.
    await undefined;
    const token = await given(give);
    if (typeof token !== 'string' || token === '') {
      const what = token === undefined ? 'nothing' : token === '' ? 'an empty string' : kindOf(token);
      throw invalid(`the function for the relay's token gave ${what} in its place`);
    }
    return token;
  };
}

/** @param {() => unknown} give */
async function given(give) {
  try {
    return await give();
  } catch (cause) {
    const { name, kind, message } = Object(cause);
    // It may be another copy of this package's. Who is to have no token any more is told why, in the page's words.
    if (name === 'JackfieldError' && kind === 'denied') {
      throw new JackfieldError('denied', message, { where: 'relay', cause });
    }
    const said = `the function for the relay's token failed: ${message ?? cause}`;
    throw new JackfieldError('other', said, { where: 'relay', cause });
  }
}
