// @ts-check
/** The network that the sockets go through: the one that the page has opened. */

import { exception } from './errors.js';

/** @import { Network } from '../../wasm/direct-sockets.js' */

/** @type {Network | undefined} */
let opened;

/** Takes this network from now on. Sockets that are open stay where they are. @param {Network} network */
export function use(network) {
  opened = network;
}

/** The network, where there is one. @param {string} at What wants it, for the error. */
export function network(at) {
  if (!opened) {
    throw exception('NotAllowedError', `${at}no network was opened: call open() of jackfield/direct-sockets before.`);
  }
  return opened;
}
