/**
 * IMAP and SMTP in one module, for pages that do both.
 *
 * ```js
 * import { open } from 'jackfield/mail';
 *
 * const network = await open({ relay: 'wss://relay.example.org/', token });
 * const login = { username: 'ada', password };
 * const imap = await network.imap('imaps://mail.example.org', login);
 * const smtp = await network.smtp('smtps://mail.example.org', login);
 * const letter = await smtp.compose({ from: 'ada@example.org', to: 'grace@example.com', text: 'Hello.' });
 * await smtp.send(letter);
 * await imap.append('Sent', letter.message, { flags: ['\\Seen'] });
 * ```
 */

import type { OpenOptions } from './common.js';
import type { Network as ImapNetwork } from './imap.js';
import type { Network as SmtpNetwork } from './smtp.js';

export * from './imap.js';
export * from './smtp.js';

/**
 * Opens the way to the network: Direct Sockets where they exist, the relay elsewhere.
 *
 * @throws {JackfieldError} `invalid-input` for an address or a pin that can't be one.
 */
export function open(options?: OpenOptions): Promise<Network>;

/** A way to the network, for mail. */
export interface Network extends ImapNetwork, SmtpNetwork {}
