// node-coap with the resources of aiocoap.py, on a free UDP port of loopback.

import { createServer } from 'coap'

const LARGE = Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => index % 251))
const STEADY = 'v1'
const SLOW = 500
const TICK = 100
const LINKS = [
  '</hello>;rt="greeting";ct=0',
  '</value>;obs',
  '</ticks>;obs',
  '</observers>',
  '</fading>;obs',
  '</counted>',
  '</steady>',
  '</echo>',
  '</slow>',
  '</large>;sz=1048576',
  '</forbidden>'
].join(',')

let value = Buffer.from('initial')
let large = LARGE
let asked = 0
let counted = 0
let ticking = 0
const observers = new Set()

function end (response, code, payload) {
  response.code = code
  response.end(payload)
}

function watch (response) {
  observers.add(response)
  response.on('finish', () => observers.delete(response))
}

const resources = {
  '/.well-known/core': (_, response) => {
    response.setOption('Content-Format', 'application/link-format')
    response.end(LINKS)
  },
  '/hello': (_, response) => {
    response.setOption('Content-Format', 'text/plain')
    response.end('hello')
  },
  '/value': (request, response) => {
    switch (request.method) {
      case 'GET':
        if (request.headers.Observe === 0) {
          watch(response)
          return response.write(value)
        }
        return response.end(value)
      case 'PUT':
        value = request.payload
        for (const observer of observers) observer.write(value)
        return end(response, '2.04')
      case 'DELETE':
        value = Buffer.alloc(0)
        for (const observer of observers) observer.write(value)
        return end(response, '2.02')
      default:
        return end(response, '4.05')
    }
  },
  '/ticks': (request, response) => {
    let tick = 0
    if (request.headers.Observe !== 0) return response.end(String(tick))
    response.write(String(tick))
    const timer = setInterval(() => response.write(String(++tick)), TICK)
    ticking++
    response.on('finish', () => {
      clearInterval(timer)
      ticking--
    })
  },
  // How many observe the ticks.
  '/observers': (_, response) => {
    response.setOption('Max-Age', 0)
    response.end(String(ticking))
  },
  // Never changes, but says so for a second only; counts how often it was asked.
  '/fading': (request, response) => {
    response.setOption('Max-Age', 1)
    if (request.headers.Observe === 0) response.write(String(++asked))
    else response.end(String(++asked))
  },
  // Is another each time, and fresh for a minute.
  '/counted': (_, response) => {
    response.setOption('Max-Age', 60)
    response.end(String(++counted))
  },
  // Is always the same, which is to be asked about each time.
  '/steady': (request, response) => {
    response.setOption('Max-Age', 0)
    response.setOption('ETag', Buffer.from(STEADY))
    const known = request.options.some(({ name, value }) => name === 'ETag' && String(value) === STEADY)
    if (known) end(response, '2.03')
    else response.end('steady')
  },
  '/echo': (request, response) => end(response, '2.04', `${request.method} ${request.payload}`),
  '/slow': (_, response) => setTimeout(() => response.end('at last'), SLOW),
  '/large': (request, response) => {
    if (request.method === 'GET') return response.end(large)
    large = request.payload
    end(response, '2.04')
  },
  '/forbidden': (_, response) => end(response, '4.03', 'not for you')
}

const server = createServer((request, response) => {
  const resource = resources[request.url.split('?')[0]]
  if (resource) resource(request, response)
  else end(response, '4.04')
})
server.listen(0, '127.0.0.1', () => {
  console.log(`listening ${server._sock.address().port}`)
})
