// Sockets that are open, with a read that waits on each.
({
  /** By Jackfield; without options over Direct Sockets. */
  async jackfield(options, port, count) {
    // What the module has is not in JavaScript's heap.
    const { instantiateStreaming } = WebAssembly;
    WebAssembly.instantiateStreaming = async (...all) => {
      const made = await instantiateStreaming.apply(WebAssembly, all);
      globalThis.memory = made.instance.exports.memory;
      return made;
    };
    const { open } = await import('/sockets.js');
    WebAssembly.instantiateStreaming = instantiateStreaming;
    globalThis.network ??= await open(options);
    globalThis.held ??= [];
    const one = async () => {
      const socket = network.connect(`127.0.0.1:${port}`);
      await socket.opened;
      const reader = socket.readable.getReader();
      held.push([socket, reader, reader.read()]);
    };
    for (let left = count; left > 0; left -= 50) {
      await Promise.all(Array.from({ length: Math.min(left, 50) }, one));
    }
  },

  /** By Chrome's own. */
  async plain(port, count) {
    globalThis.held ??= [];
    const one = async () => {
      const socket = new TCPSocket('127.0.0.1', port);
      const { readable, writable } = await socket.opened;
      const reader = readable.getReader();
      held.push([socket, reader, writable, reader.read()]);
    };
    for (let left = count; left > 0; left -= 50) {
      await Promise.all(Array.from({ length: Math.min(left, 50) }, one));
    }
  },

  module: () => globalThis.memory?.buffer.byteLength ?? 0,
})
