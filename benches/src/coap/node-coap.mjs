// The same requests by node-coap: port, number of requests, size of the body.

import { Agent, request } from 'coap'

const [port, gets, size] = process.argv.slice(-3).map(Number)
const body = Buffer.from(Array.from({ length: size }, (_, index) => index % 251))
const agent = new Agent({ type: 'udp4' })

function ask (method, pathname, payload) {
  return new Promise((resolve, reject) => {
    const asked = request({ hostname: '127.0.0.1', port, method, pathname, agent })
    asked.on('error', reject)
    asked.on('response', (response) => {
      if (!response.code.startsWith('2')) reject(new Error(`${pathname}: ${response.code}`))
      resolve(response.payload)
    })
    // Blocks of 1024 bytes: node-coap cuts a body when it is asked for them.
    if (payload) asked.setOption('Block1', Buffer.of(6))
    asked.end(payload)
  })
}

async function seconds (work) {
  const start = performance.now()
  const result = await work()
  console.log((performance.now() - start) / 1000)
  return result
}

await seconds(async () => {
  for (let index = 0; index < gets; index++) {
    if (!(await ask('GET', '/')).length) throw new Error('no text')
  }
})
await seconds(() => ask('PUT', '/node', body))
const back = await seconds(() => ask('GET', '/node'))
if (!body.equals(back)) throw new Error('another body came back')
process.exit(0)
