// @ts-check
/** Addresses that a page passes as texts. */

/**
 * An IP address, written as it is written usually; undefined where it is none. Like Chromium, it takes what a
 * URL may have as an address: `127.1` is 127.0.0.1.
 *
 * @param {string} text
 * @returns {{ family: 'ipv4' | 'ipv6', text: string } | undefined}
 */
export function ipAddress(text) {
  if (/^[\da-f:.]+$/i.test(text) && text.includes(':')) {
    const host = hostOf(`[${text}]`);
    return host === undefined ? undefined : { family: 'ipv6', text: host.slice(1, -1) };
  }
  if (/^[\da-fx.]+$/i.test(text)) {
    const host = hostOf(text);
    return host !== undefined && /^[\d.]+$/.test(host) ? { family: 'ipv4', text: host } : undefined;
  }
  return undefined;
}

/** Whether it is of a group. @param {string} address An {@link ipAddress}. */
export function isMulticast(address) {
  return address.includes(':') ? /^ff/i.test(address) : /^2(2[4-9]|3\d)\./.test(address);
}

/** @param {string} host */
function hostOf(host) {
  try {
    return new URL(`http://${host}/`).hostname;
  } catch {
    return undefined;
  }
}
