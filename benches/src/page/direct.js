// The same work in JavaScript, with the plainest loops, by Chrome's own sockets or by Jackfield's. Gives
// milliseconds.
({
  async open(by, port) {
    if (by === "chrome") return new TCPSocket("127.0.0.1", port, { noDelay: true }).opened;
    const socket = network.connect(`127.0.0.1:${port}`);
    await socket.opened;
    return socket;
  },

  async drain(by, port, bytes) {
    const started = performance.now();
    const { readable, writable } = await this.open(by, port);
    const reader = readable.getReader();
    let received = 0;
    while (received < bytes) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the source has ended");
      received += value.length;
    }
    const milliseconds = performance.now() - started;
    await Promise.allSettled([reader.cancel(), writable.abort()]);
    return milliseconds;
  },

  // Gives nothing where the browser lost some of what was written: then the last answer never comes.
  async push(by, port, mebibytes, chunk) {
    const started = performance.now();
    const { readable, writable } = await this.open(by, port);
    const [reader, writer] = [readable.getReader(), writable.getWriter()];
    const data = new Uint8Array(chunk).fill(7);
    const answered = (async () => {
      for (let answers = 0; answers < mebibytes; ) {
        const { value, done } = await reader.read();
        if (done) throw new Error("the sink has ended");
        answers += value.length;
      }
    })();
    const bytes = mebibytes * 2 ** 20;
    for (let sent = 0; sent < bytes; sent += chunk) {
      await writer.write(data.subarray(0, Math.min(chunk, bytes - sent)));
    }
    const lost = new Promise((resolve) => setTimeout(resolve, 2000, true));
    const failed = await Promise.race([answered, lost]);
    const milliseconds = performance.now() - started;
    await Promise.allSettled([reader.cancel(), writer.abort(), answered]);
    return failed ? null : milliseconds;
  },
})
