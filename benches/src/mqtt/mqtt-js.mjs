// The same by MQTT.js: `publish PORT MESSAGES IN_FLIGHT`, or `idle PORT CLIENTS`.

import mqtt from 'mqtt'

const TOPIC = 'sensors/attic/temperature'
const PAYLOAD = Buffer.alloc(64, '7')
// A source on the command line has no name among the arguments.
const [verb, ...numbers] = process.argv.slice(1)
const [port, count, inFlight] = numbers.map(Number)

function connect (clientId) {
  return mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { clientId, protocolVersion: 5, keepalive: 600 })
}

async function publish () {
  const client = await connect('mqtt-js')
  const took = []

  function run (messages) {
    return new Promise((resolve, reject) => {
      let left = messages
      let unacknowledged = messages
      function next () {
        if (left === 0) return
        left--
        const begun = performance.now()
        client.publish(TOPIC, PAYLOAD, { qos: 1 }, (error) => {
          if (error) return reject(error)
          took.push((performance.now() - begun) / 1000)
          if (--unacknowledged === 0) resolve()
          else next()
        })
      }
      for (let index = 0; index < inFlight; index++) next()
    })
  }

  await run(Math.floor(count / 10))
  took.length = 0
  const start = performance.now()
  await run(count)
  const seconds = (performance.now() - start) / 1000
  took.sort((one, other) => one - other)
  console.log(seconds, took[took.length >> 1], took[Math.floor(took.length * 0.99)])
  await client.endAsync()
}

async function idle () {
  const clients = []
  for (let index = 0; index < count; index++) {
    const client = await connect(`mqtt-js-${index}`)
    await client.subscribeAsync(`idle/mqtt-js-${index}`, { qos: 1 })
    clients.push(client)
  }
  globalThis.gc()
  console.log('ready')
  await new Promise(() => {})
}

await (verb === 'publish' ? publish() : idle())
