// A file over HTTPS through a relay, by ours and by others. Each loads what it needs and is kept under its name;
// times are milliseconds.
({
  async load(name, { relay, token, wisp, root }) {
    const { get, read } = this;
    const started = performance.now();
    const clients = {
      async jackfield() {
        const { connect, open } = await import('/sockets.js');
        await open({ relay, token, roots: root });
        return (url) => get(connect, url);
      },

      async epoxy() {
        const epoxy = await import('/epoxy/epoxy.js');
        await epoxy.default({ module_or_path: '/epoxy/epoxy.wasm' });
        const options = new epoxy.EpoxyClientOptions();
        options.wisp_v2 = false;
        options.pem_files = [root];
        const client = new epoxy.EpoxyClient(wisp, options);
        return async (url) => read(await client.fetch(url, {}));
      },

      async libcurl() {
        const { libcurl } = await import('/libcurl/libcurl.mjs');
        await libcurl.load_wasm('/libcurl/libcurl.wasm');
        // It has its roots in its memory, and takes no others: this one stands in the place of its first.
        const { HEAPU8, _get_cacert } = libcurl.module;
        const at = _get_cacert();
        const next = libcurl.get_cacert().indexOf('-----BEGIN', root.length);
        HEAPU8.fill(10, at, at + next).set(new TextEncoder().encode(root), at);
        libcurl.set_websocket(wisp);
        return async (url, version) =>
          read(await libcurl.fetch(url, { _libcurl_http_version: version }));
      },
    };
    const fetch = await clients[name]();
    (globalThis.fetches ??= {})[name] = fetch;
    return performance.now() - started;
  },

  /** Gives when its head came, when its last byte, and its cipher suite where the client tells it. */
  async fetch(name, url, bytes, version) {
    const started = performance.now();
    const { head, body, cipher } = await fetches[name](url, version);
    const done = performance.now();
    if (body !== bytes) throw new Error(`${name}: ${body} bytes came`);
    return [head - started, done - started, cipher ?? null];
  },

  async read({ status, body }) {
    const head = performance.now();
    if (status !== 200) throw new Error(`status ${status}`);
    const reader = body.getReader();
    let bytes = 0;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return { head, body: bytes };
      bytes += value.length;
    }
  },

  /** HTTP/1.1 by hand. */
  async get(connect, url) {
    const { hostname, port, pathname } = new URL(url);
    const socket = connect({ hostname, port: Number(port) }, { secureTransport: 'on' });
    const writer = socket.writable.getWriter();
    writer.write(new TextEncoder().encode(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`));
    // One buffer goes back and forth, which a byte stream lets its reader do.
    const reader = socket.readable.getReader({ mode: 'byob' });
    let text = '', buffer = new ArrayBuffer(65536), head, body, length;
    for (;;) {
      const { value, done } = await reader.read(new Uint8Array(buffer));
      if (done) throw new Error('the server has ended');
      if (head === undefined) {
        text += new TextDecoder('latin1').decode(value);
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) {
          buffer = value.buffer;
          continue;
        }
        if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(text);
        head = performance.now();
        length = Number(/\r\ncontent-length: (\d+)/i.exec(text)[1]);
        body = text.length - end - 4;
      } else {
        body += value.length;
      }
      if (body >= length) break;
      buffer = value.buffer;
    }
    const { tls } = await socket.opened;
    socket.close();
    return { head, body, cipher: tls.cipherSuite };
  },
})
