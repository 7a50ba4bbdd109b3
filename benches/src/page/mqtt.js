// The same work by Jackfield and by MQTT.js, over clients that are connected once.
({
  /** @param {string} entry Of the package. */
  async jackfield(name, entry, address, options) {
    const { open } = await import(`/${entry}.js`);
    const client = await (await open(options)).mqtt(address, { keepAlive: 600 });
    await client.connected;
    (globalThis.clients ??= {})[name] = {
      publish: (topic, payload, options) => client.publish(topic, payload, options),
      async receive(filter, qos, count) {
        let bytes = 0;
        for await (const { payload } of client.subscribe(filter, { qos })) {
          bytes += payload.length;
          count -= 1;
          // Leaving the loop unsubscribes.
          if (count === 0) return bytes;
        }
      },
    };
  },

  async mqttJs(name, address) {
    const { default: mqtt } = await import('/mqtt.esm.js');
    const client = await mqtt.connectAsync(address, { protocolVersion: 5, keepalive: 600 });
    (globalThis.clients ??= {})[name] = {
      publish: (topic, payload, options) => client.publishAsync(topic, payload, options),
      receive: (filter, qos, count) => new Promise((resolve, reject) => {
        let bytes = 0;
        client.on('message', function take(_topic, payload) {
          bytes += payload.length;
          count -= 1;
          if (count > 0) return;
          client.off('message', take);
          client.unsubscribe(filter, () => resolve(bytes));
        });
        client.subscribe(filter, { qos }, (error) => error && reject(error));
      }),
    };
  },

  /** Lets the broker keep so many messages, each of a topic of its own. */
  async fill(name, messages, inFlight) {
    let left = messages;
    const one = async () => {
      while (left > 0) {
        left -= 1;
        await clients[name].publish(`kept/${left}`, '7'.repeat(64), { qos: 1, retain: true });
      }
    };
    await Promise.all(Array.from({ length: inFlight }, one));
  },

  /** Gives milliseconds. */
  async publish(name, messages, inFlight, qos) {
    const payload = '7'.repeat(64);
    const started = performance.now();
    let left = messages;
    const one = async () => {
      while (left > 0) {
        left -= 1;
        await clients[name].publish('sensors/attic/temperature', payload, { qos });
      }
    };
    await Promise.all(Array.from({ length: inFlight }, one));
    // The broker has taken all that came before what it acknowledges.
    await clients[name].publish('sensors/attic/done', payload, { qos: 1 });
    return performance.now() - started;
  },

  /** Gives milliseconds. */
  async receive(name, messages, _inFlight, qos) {
    const started = performance.now();
    const bytes = await clients[name].receive('kept/#', qos, messages);
    const took = performance.now() - started;
    if (bytes !== messages * 64) throw new Error(`${bytes} bytes came`);
    return took;
  },
})
