// The same by imapflow: `PORT USER PASSWORD`, and where a copy is brought up to date its UIDVALIDITY and
// MODSEQ; prints the seconds, and how many messages have other flags, are new, and are gone.

import { ImapFlow } from 'imapflow'

// A source on the command line has no name among the arguments.
const [port, user, pass, uidValidity, changedSince, first] = process.argv.slice(1)
const items = { uid: true, flags: true, internalDate: true, size: true, envelope: true }

const start = performance.now()
const client = new ImapFlow({
  host: '127.0.0.1',
  port: Number(port),
  secure: false,
  doSTARTTLS: false,
  auth: { user, pass },
  logger: false,
  qresync: true,
  disableAutoIdle: true,
  disableCompression: true
})
let gone = 0
client.on('expunge', () => gone++)
await client.connect()
const messages = []
let changes
if (uidValidity) {
  changes = { changedSince: BigInt(changedSince), uidValidity: BigInt(uidValidity) }
}
await client.mailboxOpen('INBOX', changes ?? {})
for await (const message of client.fetch('1:*', items, changes)) messages.push(message)
const seconds = (performance.now() - start) / 1000
const added = changes ? messages.filter(({ uid }) => uid >= Number(first)).length : messages.length
console.log(seconds, messages.length - added, added, gone)
await client.logout()
