// @ts-check
/** `TCPServerSocket`. What it is and does: direct-sockets.d.ts. */

import { ipAddress } from './address.js';
import { exception, opening } from './errors.js';
import { Life } from './life.js';
import { accepted } from './tcp.js';
import { network } from './way.js';
import { boolean, dictionary, domString, enough, shape, within, wrong } from './webidl.js';

/** @import * as Api from '../../direct-sockets.d.ts' */
/** @import { RawListener } from '../../wasm/direct-sockets.js' */
/** @import { Facts } from './tcp.js' */

/** What `TCPServerSocketOptions` has. */
const OPTIONS = {
  backlog: within('unsigned long'),
  ipv6Only: boolean,
  localPort: within('unsigned short'),
};

/** @implements {Api.TCPServerSocket} */
export class TCPServerSocket {
  /** @type {Life<Api.TCPServerSocketOpenInfo>} */
  #life;

  /** @param {string} localAddress @param {Api.TCPServerSocketOptions} [options] */
  constructor(localAddress, options = {}) {
    const at = "Failed to construct 'TCPServerSocket': ";
    enough(at, arguments.length, 1);
    const text = domString(at, localAddress);
    const given = dictionary(at, options, 'TCPServerSocketOptions', OPTIONS);
    const way = network(at);
    const address = ipAddress(text)?.text;
    if (address === undefined) {
      throw wrong(at, 'localAddress must be a valid IP address.');
    }
    checkPort(at, given.localPort);
    if (given.backlog === 0) {
      throw wrong(at, 'backlog must be greater than zero.');
    }
    checkIpv6Only(at, given.ipv6Only, address);
    this.#life = new Life('TCPServerSocket');
    void listen(this.#life, way.listen(address, given.localPort ?? 0, given));
  }

  get opened() { return this.#life.opened; }

  get closed() { return this.#life.closed; }

  close() { return this.#life.close(); }
}

shape(TCPServerSocket, 'TCPServerSocket');

/** @param {string} at @param {number | undefined} localPort */
export function checkPort(at, localPort) {
  if (localPort === 0) {
    const way = 'Leave this field unassigned to allow the OS to pick a port on its own.';
    throw wrong(at, `localPort must be greater than zero. ${way}`);
  }
}

/** @param {string} at @param {boolean | undefined} ipv6Only @param {string} address */
export function checkIpv6Only(at, ipv6Only, address) {
  if (ipv6Only !== undefined && address !== '::') {
    throw wrong(at, 'ipv6Only can only be specified when localAddress is [::] or equivalent.');
  }
}

/** @param {Life<Api.TCPServerSocketOpenInfo>} life @param {RawListener} raw */
async function listen(life, raw) {
  /** @type {any} */
  let info;
  try {
    info = await raw.opened();
  } catch (error) {
    life.refuse(opening(error));
    return;
  }
  const readable = new ReadableStream({
    async pull(controller) {
      try {
        const taken = await raw.accept();
        if (life.state === 'open') {
          controller.enqueue(accepted(taken, /** @type {Facts} */ (await taken.opened())));
        }
      } catch (cause) {
        if (life.state === 'open') {
          const error = exception('NetworkError', 'Server socket closed: net::ERR_CONNECTION_ABORTED', cause);
          controller.error(error);
          life.ended({ error });
        }
      }
    },
    cancel() {
      life.ended();
      raw.close();
    },
  }, new CountQueuingStrategy({ highWaterMark: 0 }));
  life.open({ readable, localAddress: info.localAddress, localPort: info.localPort });
}
