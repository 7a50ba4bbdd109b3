// @ts-check
/** `MulticastController`. What it is and does: direct-sockets.d.ts. */

import { ipAddress, isMulticast } from './address.js';
import { exception, invalidState, opening } from './errors.js';
import { dictionary, domString, enough, shape, wrong } from './webidl.js';

/** @import * as Api from '../../direct-sockets.d.ts' */
/** @import { RawDatagrams } from '../../wasm/direct-sockets.js' */

const MADE = Symbol('made');

/** @implements {Api.MulticastController} */
export class MulticastController {
  #raw;
  #isOpen;
  /** @type {readonly string[]} */
  #joined = Object.freeze([]);
  /** Groups that are being joined or left. @type {Set<string>} */
  #joining = new Set();
  /** @type {Set<string>} */
  #leaving = new Set();

  /** @param {unknown} made @param {RawDatagrams} raw @param {() => boolean} isOpen */
  constructor(made, raw, isOpen) {
    if (made !== MADE) {
      throw new TypeError('Illegal constructor');
    }
    this.#raw = raw;
    this.#isOpen = isOpen;
  }

  /** @param {string} ipAddress @param {Api.MulticastGroupOptions} [options] */
  async joinGroup(ipAddress, options = {}) {
    const group = this.#group('joinGroup', arguments.length, ipAddress, options);
    const at = AT.joinGroup;
    if (this.joinedGroups.includes(group)) {
      throw invalidState(at, 'Cannot join the same group/source combination again');
    }
    if (this.#joining.has(group)) {
      throw invalidState(at, 'Already joining this group/source combination');
    }
    await this.#change(this.#joining, group, () => this.#raw.join(group));
    this.#joined = Object.freeze([...this.#joined, group]);
  }

  /** @param {string} ipAddress @param {Api.MulticastGroupOptions} [options] */
  async leaveGroup(ipAddress, options = {}) {
    const group = this.#group('leaveGroup', arguments.length, ipAddress, options);
    const at = AT.leaveGroup;
    if (!this.joinedGroups.includes(group)) {
      throw invalidState(at, 'Cannot leave group which is not joined');
    }
    if (this.#leaving.has(group)) {
      throw invalidState(at, 'Already leaving the group');
    }
    await this.#change(this.#leaving, group, () => this.#raw.leave(group));
    this.#joined = Object.freeze(this.#joined.filter((joined) => joined !== group));
  }

  get joinedGroups() {
    return this.#isOpen() ? this.#joined : Object.freeze(/** @type {string[]} */ ([]));
  }

  /**
   * The group that is meant, checked.
   *
   * @param {keyof typeof AT} method
   * @param {number} given
   * @param {unknown} address
   * @param {unknown} options
   */
  #group(method, given, address, options) {
    const at = AT[method];
    enough(at, given, 1);
    const text = domString(at, address);
    dictionary(at, options, 'MulticastGroupOptions', {});
    if (!this.#isOpen()) {
      throw invalidState(at, `Cannot ${method === 'joinGroup' ? 'join' : 'leave'} group if the socket is not opened`);
    }
    if (text === '') {
      throw wrong(at, 'ipAddress must not be empty');
    }
    const group = ipAddress(text)?.text;
    if (group === undefined) {
      throw wrong(at, 'ipAddress is not a valid IPv4 or IPv6 address');
    }
    if (!isMulticast(group)) {
      throw wrong(at, 'ipAddress must be a valid multicast address');
    }
    return group;
  }

  /** @param {Set<string>} under @param {string} group @param {() => Promise<void>} change */
  async #change(under, group, change) {
    under.add(group);
    try {
      await change();
    } catch (error) {
      throw opening(error);
    } finally {
      under.delete(group);
    }
    if (!this.#isOpen()) {
      throw exception('AbortError', 'Socket closed.');
    }
  }
}

const AT = {
  joinGroup: "Failed to execute 'joinGroup' on 'MulticastController': ",
  leaveGroup: "Failed to execute 'leaveGroup' on 'MulticastController': ",
};

shape(MulticastController, 'MulticastController');

/** The groups of a bound socket. @param {RawDatagrams} raw @param {() => boolean} isOpen */
export function groupsOf(raw, isOpen) {
  return new MulticastController(MADE, raw, isOpen);
}
