// The same by nodemailer: `PORT CONNECTIONS MESSAGES WARM_UP SIZE`; prints the seconds.

import nodemailer from 'nodemailer'

// A source on the command line has no name among the arguments.
const [port, maxConnections, messages, warmUp] = process.argv.slice(1, 5).map(Number)
const raw = process.argv[5]
const transport = nodemailer.createTransport({
  host: '127.0.0.1',
  port,
  name: 'localhost',
  ignoreTLS: true,
  pool: true,
  maxConnections,
  maxMessages: Infinity
})
const envelope = { from: 'ada@example.org', to: ['grace@example.com'] }

async function send (count) {
  const sent = Array.from({ length: count }, () => transport.sendMail({ envelope, raw }))
  for (const { accepted } of await Promise.all(sent)) {
    if (accepted.length !== 1) throw new Error('not accepted')
  }
}

await send(warmUp)
const start = performance.now()
await send(messages)
console.log((performance.now() - start) / 1000)
transport.close()
