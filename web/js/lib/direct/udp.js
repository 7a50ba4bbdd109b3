// @ts-check
/** `UDPSocket`. What it is and does: direct-sockets.d.ts. */

import { ipAddress } from './address.js';
import { aborted, abortedBy, opening } from './errors.js';
import { Life } from './life.js';
import { groupsOf } from './multicast.js';
import { Pump } from './pump.js';
import { checkIpv6Only, checkPort } from './server.js';
import { checkBuffers, hostOf, refusal } from './tcp.js';
import { network } from './way.js';
import { boolean, bytes, dictionary, dnsQueryType, domString, enough, port, shape, within, wrong } from './webidl.js';

/** @import * as Api from '../../direct-sockets.d.ts' */
/** @import { RawDatagrams } from '../../wasm/direct-sockets.js' */

/** What `UDPSocketOptions` has. */
const OPTIONS = {
  receiveBufferSize: within('unsigned long'),
  sendBufferSize: within('unsigned long'),
  dnsQueryType,
  ipv6Only: boolean,
  localAddress: domString,
  localPort: within('unsigned short'),
  multicastAllowAddressSharing: boolean,
  multicastLoopback: boolean,
  multicastTimeToLive: within('octet'),
  remoteAddress: domString,
  remotePort: within('unsigned short'),
};
const INHERITED = { receiveBufferSize: 'SocketOptions', sendBufferSize: 'SocketOptions' };
/** What `UDPMessage` has. */
const MESSAGE = { data: bytes, dnsQueryType, remoteAddress: domString, remotePort: port };
/** @typedef {{ data: Uint8Array<ArrayBuffer>, remoteAddress?: string, remotePort?: number }} Datagram */

/** The largest datagram, in bytes: 65,535 less the headers of IPv4. */
const LARGEST = 65_507;

/** @implements {Api.UDPSocket} */
export class UDPSocket {
  /** @type {Life<Api.UDPSocketOpenInfo>} */
  #life;

  /** @param {Api.UDPSocketOptions} options */
  constructor(options) {
    const at = "Failed to construct 'UDPSocket': ";
    enough(at, arguments.length, 1);
    const given = dictionary(at, options, 'UDPSocketOptions', OPTIONS, INHERITED);
    const way = network(at);
    const local = checked(at, given);
    this.#life = new Life('UDPSocket');
    void open(this.#life, way, local, given);
  }

  get opened() { return this.#life.opened; }

  get closed() { return this.#life.closed; }

  close() { return this.#life.close(); }
}

shape(UDPSocket, 'UDPSocket');

/**
 * Checks options that say little alone; gives the local address of a socket that is to be bound.
 *
 * @param {string} at
 * @param {Api.UDPSocketOptions} given
 */
function checked(at, given) {
  const connected = given.remoteAddress !== undefined;
  if (connected !== (given.remotePort !== undefined)) {
    throw wrong(at, 'remoteAddress and remotePort should either be specified together or not specified at all.');
  }
  /** @type {string | undefined} */
  let local;
  if (given.localAddress !== undefined) {
    local = ipAddress(given.localAddress)?.text;
    if (local === undefined) {
      throw wrong(at, 'localAddress must be a valid IP address.');
    }
    checkPort(at, given.localPort);
    checkIpv6Only(at, given.ipv6Only, local);
  } else if (given.localPort !== undefined) {
    throw wrong(at, 'localPort cannot be specified without localAddress.');
  } else if (given.ipv6Only !== undefined) {
    throw wrong(at, 'ipv6Only can only be specified with localAddress.');
  }
  if (connected && local !== undefined) {
    throw wrong(at, 'remoteAddress and localAddress cannot be specified at the same time.');
  }
  if (!connected && local === undefined) {
    throw wrong(at, 'neither remoteAddress nor localAddress specified.');
  }
  if (!connected && given.dnsQueryType !== undefined) {
    throw wrong(at, 'dnsQueryType is only relevant when remoteAddress is specified.');
  }
  checkBuffers(at, given);
  return local;
}

/**
 * @param {Life<Api.UDPSocketOpenInfo>} life
 * @param {import('../../wasm/direct-sockets.js').Network} way
 * @param {string | undefined} local
 * @param {Api.UDPSocketOptions} given
 */
async function open(life, way, local, given) {
  try {
    const { remoteAddress = '', remotePort = 0, localPort = 0, dnsQueryType: family, ...others } = given;
    const options = { family, ...others };
    const raw = local === undefined
      ? way.openDatagrams(hostOf(remoteAddress, given.dnsQueryType), remotePort, options)
      : way.bindDatagrams(local, localPort, options);
    opened(life, raw, await raw.opened(), local === undefined);
  } catch (error) {
    life.refuse(local === undefined ? refusal(error) : opening(error));
  }
}

/**
 * Makes the streams of a socket.
 *
 * @param {Life<Api.UDPSocketOpenInfo>} life
 * @param {RawDatagrams} raw
 * @param {any} info
 * @param {boolean} connected
 */
function opened(life, raw, info, connected) {
  /** @param {{ error: unknown }} [failure] */
  const ended = (failure) => {
    if (life.ended(failure)) {
      raw.close();
    }
  };
  const readable = receiving(raw, connected, ended);
  const writable = sending(raw, connected, ended);
  const { remoteAddress, remotePort, localAddress, localPort } = info;
  life.open({
    readable,
    writable,
    ...(connected && { remoteAddress, remotePort }),
    localAddress,
    localPort,
    ...(!connected && { multicastController: groupsOf(raw, () => life.state === 'open') }),
  });
}

/** What comes. In a function of its own: what it makes must hold no more than it needs. @param {RawDatagrams} raw */
function datagramsOf(raw) {
  return new Pump(() => raw.receive(), () => raw.close());
}

/** @param {RawDatagrams} raw @param {boolean} connected @param {(failure?: { error: unknown }) => void} ended */
function receiving(raw, connected, ended) {
  const pump = datagramsOf(raw);
  let isOpen = true;
  // What comes while nobody reads waits in the network's own queue, which is bounded, and not in the stream's.
  return new ReadableStream({
    start(controller) {
      pump.onFailure = (cause) => {
        const error = aborted(cause);
        controller.error(error);
        isOpen = false;
        ended({ error });
      };
      pump.start();
    },
    async pull(controller) {
      const came = await pump.next();
      if (came && isOpen) {
        const { data, remoteAddress, remotePort } = /** @type {Required<Datagram>} */ (came.value);
        controller.enqueue(connected ? { data } : { data, remoteAddress, remotePort });
        pump.start();
      }
    },
    cancel() {
      isOpen = false;
      pump.stop();
      ended();
    },
  }, new CountQueuingStrategy({ highWaterMark: 0 }));
}

/** @param {RawDatagrams} raw @param {boolean} connected @param {(failure?: { error: unknown }) => void} ended */
function sending(raw, connected, ended) {
  let isOpen = true;
  /** @param {{ error: unknown }} [failure] */
  const end = (failure) => {
    if (isOpen) {
      isOpen = false;
      ended(failure);
    }
  };
  return new WritableStream({
    async write(chunk) {
      try {
        const { data, host, port, family } = messageOf(chunk, connected);
        await raw.send(data, host, port, family).catch((cause) => {
          throw aborted(cause);
        });
      } catch (error) {
        end({ error });
        throw error;
      }
    },
    close: () => end(),
    abort: () => end(),
  }, new CountQueuingStrategy({ highWaterMark: 1 }));
}

/** A `UDPMessage` to send. @param {unknown} chunk @param {boolean} connected */
function messageOf(chunk, connected) {
  const at = "Failed to execute 'write' on 'WritableStreamDefaultWriter': ";
  const message = dictionary(at, chunk, 'UDPMessage', MESSAGE);
  const { data, remoteAddress, remotePort } = message;
  if (data === undefined) {
    throw wrong(at, "UDPMessage: missing 'data' field.");
  }
  if (data.length === 0) {
    throw wrong(at, "UDPMessage: 'data' field must not be empty.");
  }
  if ((remoteAddress === undefined) !== (remotePort === undefined)) {
    throw wrong(at, "UDPMessage: either none or both 'remoteAddress' and 'remotePort' fields must be specified.");
  }
  if (connected && remoteAddress !== undefined) {
    throw wrong(at, "UDPMessage: 'remoteAddress' and 'remotePort' must not be specified in 'connected' mode.");
  }
  if (connected && message.dnsQueryType !== undefined) {
    throw wrong(at, "UDPMessage: 'dnsQueryType' must not be specified in 'connected' mode.");
  }
  if (!connected && remoteAddress === undefined) {
    throw wrong(at, "UDPMessage: 'remoteAddress' and 'remotePort' must be specified in 'bound' mode.");
  }
  if (data.length > LARGEST) {
    throw abortedBy('ERR_MSG_TOO_BIG');
  }
  if (remotePort === 0) {
    throw abortedBy('ERR_INVALID_ARGUMENT');
  }
  const host = remoteAddress === undefined ? undefined : ipAddress(remoteAddress)?.text ?? remoteAddress;
  if (host === '255.255.255.255') {
    throw abortedBy('ERR_ACCESS_DENIED');
  }
  return { data, host, port: remotePort, family: message.dnsQueryType };
}
