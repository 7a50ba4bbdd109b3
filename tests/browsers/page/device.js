// @ts-check
/**
 * A device that publishes numbers with QoS 2 and keeps those that it gets; it is made to be closed or
 * to crash at any moment, and to be opened again. Its like in a process: tests/servers/src/bin/device.rs.
 *
 * The session is kept in one IndexedDB, and what it got in another, its own, by the messages' serials.
 */

import { open } from './jackfield/iot.js';

/** @import { MqttMessage, MqttPublication } from './jackfield/iot.js' */

/** @type {{ relay: string, token: string, broker: string, from: string, to: string, count: number, underWay: number }} */
const config = await (await fetch('device.json')).json();

const kept = await openKept();
let last = await lastKept();

const network = await open({ relay: config.relay, token: config.token });
const client = await network.mqtt(config.broker, {
  clientId: 'device',
  store: 'device',
  sessionExpiry: 3600,
  manualAcknowledgement: true,
  reconnect: { first: 10, longest: 50 },
});
// Before the first connection, so that it gets what the broker has kept as well.
const messages = client.subscribe(config.to, { qos: 2 });

/** Why it can't go on. @type {string[]} */
const problems = [];
const told = { ready: false, received: 0, problems, all };
Object.assign(globalThis, { device: told });

await Promise.all([receive(), publish(), follow()].map((work) => work.catch((error) => problems.push(String(error)))));

/** Keeps what comes, unless it is there already, and only then acknowledges it. */
async function receive() {
  told.received = await countKept();
  for await (const message of messages) {
    await take(message);
  }
  throw new Error('the messages have ended');
}

/** @param {MqttMessage} message */
async function take(message) {
  const { serial } = message;
  if (serial === null) {
    throw new Error('a message of QoS 0');
  }
  if (serial > last) {
    last = serial;
    await keep(serial, message.text());
    told.received += 1;
  }
  await message.acknowledge();
}

/** Publishes what the session has not been given yet. */
async function publish() {
  await messages.granted;
  told.ready = true;
  /** @type {MqttPublication[]} */
  const underWay = [];
  for (let number = await client.published(); number < config.count; number += 1) {
    if (underWay.length === config.underWay) {
      await underWay.shift();
    }
    const publication = client.publish(config.from, String(number), { qos: 2 });
    await publication.queued;
    underWay.push(publication);
  }
  await Promise.all(underWay);
}

/** What the subscription doesn't take must not come at all. */
async function follow() {
  for await (const event of client) {
    if (event.type === 'message') {
      throw new Error(`${event.message.text()} came past the subscription`);
    }
  }
  throw new Error('the client has ended');
}

/* What is kept */

/** @returns {Promise<IDBDatabase>} */
function openKept() {
  const opening = indexedDB.open('kept', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('received');
  return settled(opening);
}

/** @param {number} serial @param {string} payload @returns {Promise<void>} */
function keep(serial, payload) {
  const batch = kept.transaction('received', 'readwrite');
  // Fails where it is there already.
  batch.objectStore('received').add(payload, serial);
  return new Promise((resolve, reject) => {
    batch.oncomplete = () => resolve();
    batch.onabort = () => reject(batch.error);
  });
}

/** All payloads, in the order of their serials. @returns {Promise<string[]>} */
function all() {
  return settled(kept.transaction('received').objectStore('received').getAll());
}

function countKept() {
  return settled(kept.transaction('received').objectStore('received').count());
}

async function lastKept() {
  const cursor = await settled(kept.transaction('received').objectStore('received').openKeyCursor(null, 'prev'));
  return cursor === null ? -1 : Number(cursor.key);
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
