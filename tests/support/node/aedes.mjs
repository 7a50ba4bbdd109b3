// aedes, a broker for MQTT 3.1.1, over TCP and over WebSocket; each on a free port of loopback.

import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'
import { createWebSocketStream, WebSocketServer } from 'ws'

const broker = await Aedes.createBroker()

const tcp = createServer(broker.handle)
const http = createHttpServer()
const sockets = new WebSocketServer({ server: http, path: '/mqtt' })
sockets.on('connection', (socket, request) => {
  const stream = createWebSocketStream(socket)
  // A client that is cut off is the tests' daily bread.
  stream.on('error', () => stream.destroy())
  broker.handle(stream, request)
})

function listening (server) {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server.address().port))
  })
}

console.log(`listening ${await listening(tcp)} ${await listening(http)}`)
