// @ts-check
/** WinterTC's `connect()`, over a network. What it is and does: sockets.d.ts. */

import { kindOf } from './check.js';
import { JackfieldError } from './error.js';
import { TO_ERROR } from './socket.js';

/** @import * as Api from '../sockets.d.ts' */

export class SocketError extends TypeError {
  /** @param {string} message @param {ErrorOptions} [options] */
  constructor(message, options) {
    super(`SocketError: ${message}`, options);
  }
}

/**
 * Connects.
 *
 * @param {Api.Network | undefined} network
 * @param {Api.AnySocketAddress} address
 * @param {Api.SocketOptions | null} [options]
 * @returns {Api.Socket}
 */
export function connect(network, address, options) {
  const to = parts(address);
  const { secureTransport = 'off', allowHalfOpen = false, sni = null, alpn = [] } = options ?? {};
  if (!['off', 'on', 'starttls'].includes(secureTransport)) {
    throw new SocketError(`Unsupported value in secureTransport socket option: ${secureTransport}`);
  }
  if (secureTransport === 'off' && (sni !== null || alpn.length > 0)) {
    const option = sni !== null ? 'sni' : 'alpn';
    throw new SocketError(`The ${option} socket option needs secureTransport to be 'on' or 'starttls'.`);
  }
  if (network === undefined) {
    throw new SocketError("No network is open: await open({ relay }) of 'jackfield/sockets' before connect().");
  }
  const tls = { serverName: sni ?? to.hostname, alpn };
  return told(() => {
    /** @type {any} */
    const how = { tls: secureTransport === 'on' && tls, allowHalfOpen: !!allowHalfOpen, [TO_ERROR]: toError };
    return new WinterTcSocket(network.connect(to, how), secureTransport, tls);
  });
}

/** @implements {Api.Socket} */
class WinterTcSocket {
  #socket;
  #tls;

  /**
   * @param {Api.NetworkSocket} socket
   * @param {'off' | 'on' | 'starttls'} secureTransport
   * @param {{ serverName: string, alpn: readonly string[] }} tls
   */
  constructor(socket, secureTransport, tls) {
    this.#socket = socket;
    this.#tls = tls;
    this.secureTransport = secureTransport;
  }

  get readable() { return this.#socket.readable; }

  get writable() { return this.#socket.writable; }

  get opened() { return this.#socket.opened; }

  get closed() { return this.#socket.closed; }

  get upgraded() { return this.#socket.upgraded; }

  /** @param {unknown} [reason] */
  close(reason) { return this.#socket.close(reason); }

  /** @param {Api.TlsUpgradeOptions | null} [options] @returns {Api.Socket} */
  startTls(options) {
    if (this.secureTransport === 'on') {
      throw new SocketError('Cannot startTls on a TLS socket.');
    }
    if (this.secureTransport !== 'starttls') {
      throw new SocketError("The secureTransport socket option must be set to 'starttls' for startTls to be used.");
    }
    // The first is Cloudflare's name, the second the one that programs for Node.js pass.
    const { expectedServerHostname, servername } = options ?? {};
    const tls = { ...this.#tls, serverName: expectedServerHostname ?? servername ?? this.#tls.serverName };
    return told(() => new WinterTcSocket(this.#socket.startTls(tls), 'on', tls));
  }
}

/** @template T @param {() => T} work */
function told(work) {
  try {
    return work();
  } catch (error) {
    throw toError(error);
  }
}

/** @param {unknown} error */
function toError(error) {
  return error instanceof JackfieldError ? new SocketError(error.message, { cause: error }) : error;
}

/** @param {Api.AnySocketAddress} address */
function parts(address) {
  if (typeof address === 'object' && address !== null) {
    const { hostname, port } = address;
    if (port === undefined) {
      throw new SocketError('Specified address is missing port.');
    }
    if (typeof hostname !== 'string' || hostname === '') {
      throw new SocketError(`Specified address could not be parsed: the hostname is ${kindOf(hostname)}.`);
    }
    return { hostname, port: toPort(port) };
  }
  const found = typeof address === 'string' && /^(\[[^\]]+\]|[^:/?#@\s[\]]+)(?::(\d*))?$/.exec(address);
  if (!found) {
    throw new SocketError('Specified address could not be parsed.');
  }
  if (!found[2]) {
    throw new SocketError('Specified address is missing port.');
  }
  return { hostname: found[1] ?? '', port: toPort(found[2]) };
}

/** @param {unknown} port */
function toPort(port) {
  const number = Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535) {
    throw new SocketError('Specified address could not be parsed: its port is no number from 1 to 65535.');
  }
  return number;
}
