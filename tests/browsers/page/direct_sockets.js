// What Direct Sockets do, as cases that answer in texts: the same file is run on Chrome's own sockets and
// on Jackfield's, and the answers are compared. A case gets the three classes, and where the servers are:
// `at` has `host` and the ports `echo` (TCP and UDP), `ends` (answers the first bytes with "bye", and
// ends), `resets` (resets at the first bytes), `refused` (nobody listens), and `taken` and `free`, where a socket
// can't be bound, and can.

const PATIENCE = 1500;

/** An error as a text. */
const text = (error) => `${error?.name}: ${error?.message}`;

/** What a function or a promise gives, or the error; never longer than it may take. */
const told = async (work) => {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve("nothing"), PATIENCE);
  });
  try {
    const given = typeof work === "function" ? work() : work;
    return await Promise.race([given, late]);
  } catch (error) {
    return text(error);
  } finally {
    clearTimeout(timer);
  }
};

/** Whether a promise is settled by now, and how. */
const state = async (promise) => {
  await new Promise((resolve) => setTimeout(resolve, 50));
  const pending = {};
  return Promise.race([promise, pending]).then(
    (value) => (value === pending ? "pending" : `resolved: ${value}`),
    (error) => `rejected: ${text(error)}`,
  );
};

/** What is thrown at once. */
const thrown = (work) => {
  try {
    const socket = work();
    // Whatever opens is not what is asked here.
    socket.opened?.catch(() => undefined);
    socket.opened?.then(() => socket.close()).catch(() => undefined);
    return "no error";
  } catch (error) {
    return text(error);
  }
};

const bytes = (string) => new TextEncoder().encode(string);
const string = (chunk) => new TextDecoder().decode(chunk);

/** A result of reading, as a text. */
const seen = ({ done, value }) => (done ? `done ${value}` : string(value));

/** Reads until so much has come. */
const readAll = async (reader, length) => {
  let got = "";
  while (got.length < length) {
    const { done, value } = await reader.read();
    if (done) return `${got} and the end`;
    got += string(value);
  }
  return got;
};

/** Opens, and gives the information with it. */
const open = async (socket) => ({ socket, ...(await socket.opened) });

/** What a datagram says, and which fields it has. */
const message = ({ done, value }) =>
  done ? "done" : [string(value.data), value.data.constructor.name, Object.keys(value).sort().join()];

const cases = {
  "the classes have one shape": async ({ TCPSocket, UDPSocket, TCPServerSocket }) => {
    const one = (made) => {
      const names = Object.getOwnPropertyNames(made.prototype).sort();
      const kinds = names.map((name) => {
        const { get, value, enumerable } = Object.getOwnPropertyDescriptor(made.prototype, name);
        return `${name} ${get ? "getter" : typeof value} ${enumerable}`;
      });
      return [made.name, made.length, kinds, made.prototype[Symbol.toStringTag]];
    };
    return [TCPSocket, UDPSocket, TCPServerSocket].map(one);
  },

  "a constructor is no function": async ({ TCPSocket, UDPSocket, TCPServerSocket }) => [
    thrown(() => TCPSocket("a", 1)),
    thrown(() => UDPSocket({})),
    thrown(() => TCPServerSocket("127.0.0.1")),
  ],

  "a constructor wants its arguments": async ({ TCPSocket, UDPSocket, TCPServerSocket }) => [
    thrown(() => new TCPSocket()),
    thrown(() => new TCPSocket("a")),
    thrown(() => new UDPSocket()),
    thrown(() => new TCPServerSocket()),
    thrown(() => new TCPSocket(Symbol("a"), 1)),
    thrown(() => new TCPSocket("a", 1n)),
    thrown(() => new TCPSocket("a", Symbol("a"))),
  ],

  "options of a TCP socket are checked at once": async ({ TCPSocket }, { host, refused }) =>
    [
      null,
      undefined,
      "text",
      5,
      true,
      [],
      () => 0,
      { unknown: 1 },
      { sendBufferSize: 0 },
      { receiveBufferSize: 0 },
      { sendBufferSize: -1 },
      { sendBufferSize: 2 ** 32 },
      { sendBufferSize: NaN },
      { sendBufferSize: "x" },
      { sendBufferSize: "4096" },
      { sendBufferSize: 1.9 },
      { sendBufferSize: null },
      { sendBufferSize: 1n },
      { receiveBufferSize: Infinity },
      { keepAliveDelay: 0 },
      { keepAliveDelay: 999 },
      { keepAliveDelay: 1000 },
      { keepAliveDelay: -5 },
      { keepAliveDelay: undefined },
      { noDelay: "yes" },
      { noDelay: null },
      { dnsQueryType: "ipv5" },
      { dnsQueryType: "" },
      { dnsQueryType: null },
      { dnsQueryType: undefined },
      { dnsQueryType: "ipv4" },
      { dnsQueryType: "ipv5", sendBufferSize: 0 },
      { keepAliveDelay: 1, sendBufferSize: 0 },
      { receiveBufferSize: 0, sendBufferSize: 0 },
    ].map((options) => thrown(() => new TCPSocket(host, refused, options))),

  "options of a UDP socket are checked at once": async ({ UDPSocket }, { host, refused }) =>
    [
      null,
      undefined,
      "text",
      {},
      { remoteAddress: host },
      { remotePort: 5 },
      { remoteAddress: host, remotePort: 5, localAddress: "127.0.0.1" },
      { remoteAddress: host, remotePort: 5, localPort: 5 },
      { localPort: 5 },
      { localAddress: "localhost" },
      { localAddress: "" },
      { localAddress: "127.0.0.1.1" },
      { localAddress: "127.1" },
      { localAddress: "[::1]" },
      { localAddress: "127.0.0.1", localPort: 0 },
      { localAddress: "127.0.0.1", localPort: 70000 },
      { localAddress: "127.0.0.1", localPort: -1 },
      { localAddress: "127.0.0.1", dnsQueryType: "ipv4" },
      { localAddress: "127.0.0.1", ipv6Only: true },
      { localAddress: "127.0.0.1", ipv6Only: false },
      { localAddress: "::1", ipv6Only: true },
      { remoteAddress: host, remotePort: refused, ipv6Only: true },
      { remoteAddress: host, remotePort: refused, dnsQueryType: "ipv5" },
      { remoteAddress: host, remotePort: 70000 },
      { remoteAddress: host, remotePort: refused, sendBufferSize: 0 },
      { localAddress: "127.0.0.1", receiveBufferSize: 0 },
      { localAddress: "127.0.0.1", multicastTimeToLive: 256 },
      { localAddress: "127.0.0.1", multicastTimeToLive: -1 },
      { remoteAddress: host, remotePort: refused, multicastTimeToLive: 1 },
      { remoteAddress: host, remotePort: refused, multicastLoopback: true },
      { remoteAddress: host, remotePort: refused, multicastAllowAddressSharing: true },
      { localPort: 0, sendBufferSize: 0 },
      { localAddress: "x", sendBufferSize: 0 },
      { localAddress: "127.0.0.1", localPort: 0, dnsQueryType: "ipv4", sendBufferSize: 0 },
    ].map((options) => thrown(() => new UDPSocket(options))),

  "options of a server are checked at once": async ({ TCPServerSocket }) =>
    [
      ["localhost"],
      [""],
      [null],
      ["127.0.0.1", null],
      ["127.0.0.1", 5],
      ["127.0.0.1", { localPort: 0 }],
      ["127.0.0.1", { localPort: 70000 }],
      ["127.0.0.1", { backlog: 0 }],
      ["127.0.0.1", { backlog: -1 }],
      ["127.0.0.1", { backlog: 0, localPort: 0 }],
      ["127.0.0.1", { ipv6Only: true }],
      ["127.0.0.1", { ipv6Only: undefined }],
      ["::1", { ipv6Only: false }],
      ["127.0.0.1", { backlog: 0, ipv6Only: true }],
      ["localhost", { backlog: 0 }],
    ].map((given) => thrown(() => new TCPServerSocket(...given))),

  "what can't be reached is a network error": async ({ TCPSocket }, { host, refused }) => {
    const answers = [];
    for (const [address, port, options] of [
      [host, refused],
      [host, 0],
      [host, 65536],
      [host, "x"],
      [host, 65536 + refused],
      ["", refused],
      ["a b", refused],
      ["[::1]", refused],
      ["::1", refused, { dnsQueryType: "ipv4" }],
      ["127.0.0.1", refused, { dnsQueryType: "ipv6" }],
      ["nowhere.invalid", refused],
      ["a".repeat(64), refused],
    ]) {
      answers.push(await told(new TCPSocket(address, port, options).opened));
    }
    return answers;
  },

  "a failed opening fails everything with one error": async ({ TCPSocket }, { host, refused }) => {
    const socket = new TCPSocket(host, refused);
    const errors = [];
    for (const promise of [socket.opened, socket.closed, socket.close()]) {
      await promise.catch((error) => errors.push(error));
    }
    const later = socket.close();
    return [
      errors.length,
      errors[0] === errors[1],
      text(errors[2]),
      later === socket.closed,
      errors[0] instanceof DOMException,
      errors[0].code,
      await told(later),
    ];
  },

  "promises are the same each time": async ({ TCPSocket }, { host, echo }) => {
    const socket = new TCPSocket(host, echo);
    const answers = [socket.opened === socket.opened, socket.closed === socket.closed];
    const info = await socket.opened;
    answers.push(info === (await socket.opened), Object.getPrototypeOf(info) === Object.prototype);
    await socket.close();
    return answers;
  },

  "a TCP socket tells where it is": async ({ TCPSocket }, { host, echo }) => {
    const { socket, ...info } = await open(new TCPSocket(host, echo));
    const answers = [
      Object.keys(info).sort(),
      info.remoteAddress,
      info.remotePort === echo,
      info.localAddress,
      info.localPort > 0,
      info.readable.constructor.name,
      info.writable.constructor.name,
    ];
    await socket.close();
    return answers;
  },

  "an echo, read in both ways": async ({ TCPSocket }, { host, echo }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, echo, { noDelay: true }));
    const writer = writable.getWriter();
    let reader = readable.getReader();
    const answers = [];
    await writer.write(bytes("hello"));
    answers.push(await readAll(reader, 5));
    reader.releaseLock();
    reader = readable.getReader({ mode: "byob" });
    await writer.write(bytes("there"));
    let buffer = new ArrayBuffer(16);
    let got = "";
    while (got.length < 5) {
      const { value } = await reader.read(new Uint8Array(buffer, 2, 10));
      answers.push(value.byteOffset, buffer.byteLength, value.buffer.byteLength);
      got += string(value);
      buffer = value.buffer;
    }
    answers.push(got);
    await writer.write(bytes("abcdefgh"));
    const { value } = await reader.read(new Uint16Array(3), { min: 2 });
    answers.push(value.constructor.name, value.byteLength >= 4);
    writer.releaseLock();
    reader.releaseLock();
    answers.push(await told(socket.close()));
    return answers.slice(-4);
  },

  "what is written comes out whatever it is": async ({ TCPSocket }, { host, echo }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, echo));
    const writer = writable.getWriter();
    const reader = readable.getReader();
    const all = bytes("0123456789abcdef");
    const answers = [];
    for (const chunk of [
      all.subarray(2, 6),
      all.buffer,
      new DataView(all.buffer, 4, 2),
      new Uint16Array(all.buffer, 2, 3),
      new Float64Array(all.buffer, 8, 1),
    ]) {
      await writer.write(chunk);
      answers.push(await told(readAll(reader, chunk.byteLength)));
    }
    answers.push(await told(writer.write(new Uint8Array())), await told(writer.write(new ArrayBuffer())));
    writer.releaseLock();
    reader.releaseLock();
    await socket.close();
    return answers;
  },

  "what is written later is what is sent": async ({ TCPSocket }, { host, echo }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, echo));
    const writer = writable.getWriter();
    const chunk = bytes("first");
    const written = writer.write(chunk);
    await written;
    chunk.set(bytes("later"));
    const reader = readable.getReader();
    const answers = [await told(readAll(reader, 5)), chunk.buffer.byteLength];
    writer.releaseLock();
    reader.releaseLock();
    await socket.close();
    return answers;
  },

  "what can't be written breaks the writing side": async ({ TCPSocket }, { host, echo }) => {
    const answers = [];
    for (const chunk of ["text", 5, null, undefined, {}, [1], new Blob(["x"])]) {
      const { socket, readable, writable } = await open(new TCPSocket(host, echo));
      const writer = writable.getWriter();
      writer.closed.catch(() => undefined);
      answers.push(
        await told(writer.write(chunk)),
        await told(writer.closed),
        await told(writer.write(bytes("more"))),
        await state(socket.closed),
      );
      writer.releaseLock();
      const reader = readable.getReader();
      const read = reader.read();
      answers.push(await state(read));
      await reader.cancel();
    }
    return answers;
  },

  "a socket whose writing broke can be done with": async ({ TCPSocket, UDPSocket }, { host, echo }) => {
    const answers = [];
    for (const [made, chunk] of [
      [new TCPSocket(host, echo), "text"],
      [new UDPSocket({ remoteAddress: host, remotePort: echo }), {}],
    ]) {
      const { socket, readable, writable } = await open(made);
      await told(writable.getWriter().write(chunk));
      await readable.cancel();
      answers.push(await state(socket.closed));
    }
    return answers;
  },

  "a socket that has not opened can't be closed": async ({ TCPSocket, UDPSocket, TCPServerSocket }, { host, echo }) => {
    const answers = [];
    for (const make of [
      () => new TCPSocket(host, echo),
      () => new UDPSocket({ remoteAddress: host, remotePort: echo }),
      () => new TCPServerSocket("127.0.0.1"),
    ]) {
      const socket = make();
      answers.push(await told(() => socket.close()));
      await socket.opened;
      answers.push(await told(socket.close()));
    }
    return answers;
  },

  "a socket that is locked can't be closed": async ({ TCPSocket, UDPSocket }, { host, echo }) => {
    const answers = [];
    for (const made of [
      new TCPSocket(host, echo),
      new UDPSocket({ remoteAddress: host, remotePort: echo }),
    ]) {
      const { socket, readable, writable } = await open(made);
      const reader = readable.getReader();
      answers.push(await told(() => socket.close()));
      reader.releaseLock();
      const writer = writable.getWriter();
      answers.push(await told(() => socket.close()));
      writer.releaseLock();
      answers.push(await told(socket.close()));
    }
    return answers;
  },

  "closing ends both sides": async ({ TCPSocket, UDPSocket }, { host, echo }) => {
    const answers = [];
    for (const made of [
      new TCPSocket(host, echo),
      new UDPSocket({ remoteAddress: host, remotePort: echo }),
    ]) {
      const { socket, readable, writable } = await open(made);
      answers.push(await state(socket.closed));
      const closed = socket.close();
      answers.push(closed === socket.closed, socket.close() === closed, `${await told(closed)}`);
      const reader = readable.getReader();
      answers.push(seen(await reader.read()));
      answers.push(await told(reader.closed.then(() => "closed")));
      const writer = writable.getWriter();
      answers.push(await told(writer.closed), await told(writer.write(bytes("more"))));
      answers.push(`${await told(socket.close())}`);
    }
    return answers;
  },

  "cancelled reading leaves writing": async ({ TCPSocket }, { host, echo }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, echo));
    await readable.cancel("enough");
    const answers = [await state(socket.closed)];
    const writer = writable.getWriter();
    answers.push(`${await told(writer.write(bytes("more")))}`);
    answers.push(`${await told(writer.close())}`, await state(socket.closed));
    return answers;
  },

  "ended writing leaves reading": async ({ TCPSocket }, { host, echo }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, echo));
    const writer = writable.getWriter();
    const reader = readable.getReader();
    await writer.write(bytes("last"));
    const answers = [await told(readAll(reader, 4))];
    answers.push(`${await told(writer.close())}`);
    answers.push(await state(socket.closed));
    await reader.cancel();
    answers.push(await state(socket.closed));
    return answers;
  },

  "the peer learns of the end of writing": async ({ TCPSocket }, { host, echo }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, echo));
    await writable.close();
    const reader = readable.getReader();
    const answers = [await told(reader.read().then(seen))];
    await reader.cancel();
    answers.push(await state(socket.closed));
    return answers;
  },

  "aborted writing is no error of the socket": async ({ TCPSocket }, { host, echo }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, echo));
    await writable.abort("enough");
    const answers = [await state(socket.closed), await told(writable.getWriter().closed)];
    await readable.cancel();
    answers.push(await state(socket.closed));
    return answers;
  },

  "the peer's end is the end of reading": async ({ TCPSocket }, { host, ends }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, ends));
    const reader = readable.getReader();
    const writer = writable.getWriter();
    const read = readAll(reader, 100);
    await writer.write(bytes("hello"));
    const answers = [await told(read), seen(await reader.read()), await state(socket.closed)];
    answers.push(`${await told(writer.close())}`, await state(socket.closed));
    return answers;
  },

  "a BYOB read learns of the peer's end": async ({ TCPSocket }, { host, ends }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, ends));
    const reader = readable.getReader({ mode: "byob" });
    const writer = writable.getWriter();
    const first = reader.read(new Uint8Array(8));
    await writer.write(bytes("hello"));
    const answers = [seen(await first)];
    const last = await Promise.race([reader.read(new Uint8Array(8)), told(new Promise(() => 0))]);
    answers.push(last === "nothing" ? last : [last.done, last.value?.byteLength]);
    await told(reader.closed);
    reader.releaseLock();
    await writer.close();
    answers.push(await state(socket.closed));
    return answers;
  },

  "a reset fails both sides": async ({ TCPSocket }, { host, resets }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, resets));
    const reader = readable.getReader();
    const read = told(reader.read());
    const writer = writable.getWriter();
    writer.closed.catch(() => undefined);
    await writer.write(bytes("hello"));
    const answers = [await read];
    await told(writer.write(bytes("more")));
    answers.push(await told(writer.closed), await told(socket.closed));
    writer.releaseLock();
    reader.releaseLock();
    answers.push(await told(socket.close()));
    return answers;
  },

  "what is written after a reset is not taken": async ({ TCPSocket }, { host, resets }) => {
    const { readable, writable } = await open(new TCPSocket(host, resets));
    const writer = writable.getWriter();
    writer.closed.catch(() => undefined);
    await writer.write(bytes("hello"));
    await told(readable.getReader().read());
    return [await told(writer.write(bytes("more")))];
  },

  "streams have Chrome's strategies": async ({ TCPSocket, UDPSocket, TCPServerSocket }, { host, echo }) => {
    const answers = [];
    for (const made of [
      new TCPSocket(host, echo),
      new UDPSocket({ remoteAddress: host, remotePort: echo }),
      new TCPServerSocket("127.0.0.1"),
    ]) {
      const { socket, readable, writable } = await open(made);
      const writer = writable?.getWriter();
      answers.push(writer?.desiredSize ?? "none");
      const written = made instanceof UDPSocket ? { data: bytes("x") } : bytes("x");
      const sent = writer?.write(written);
      answers.push(writer?.desiredSize ?? "none");
      await sent;
      writer?.releaseLock();
      try {
        readable.getReader({ mode: "byob" }).releaseLock();
        answers.push("byob");
      } catch (error) {
        answers.push(text(error));
      }
      await socket.close();
    }
    return answers;
  },

  "a stream can be piped to itself": async ({ TCPSocket }, { host, echo }) => {
    const { socket, readable, writable } = await open(new TCPSocket(host, echo));
    const text = "jackfield ".repeat(3000);
    const source = new Blob([text]).stream();
    const piped = source.pipeTo(writable, { preventClose: true });
    const reader = readable.getReader();
    const back = await told(readAll(reader, text.length));
    reader.releaseLock();
    await piped;
    await told(socket.close());
    return [back === text, back.length];
  },

  "a connected UDP socket speaks with its peer": async ({ UDPSocket }, { host, echo }) => {
    const { socket, ...info } = await open(new UDPSocket({ remoteAddress: host, remotePort: echo }));
    const answers = [
      Object.keys(info).sort(),
      info.remoteAddress,
      info.remotePort === echo,
      info.localAddress,
      info.localPort > 0,
    ];
    const writer = info.writable.getWriter();
    const reader = info.readable.getReader();
    for (const data of [bytes("hello"), bytes("abc").buffer, new Uint16Array([0x4141, 0x4242])]) {
      await writer.write({ data });
      answers.push(await told(reader.read().then(message)));
    }
    writer.releaseLock();
    reader.releaseLock();
    answers.push(`${await told(socket.close())}`);
    return answers;
  },

  "a bound UDP socket speaks with anyone": async ({ UDPSocket }, { host, echo }) => {
    const { socket, ...info } = await open(new UDPSocket({ localAddress: "127.0.0.1" }));
    const answers = [Object.keys(info).sort(), info.localAddress, info.localPort > 0];
    const writer = info.writable.getWriter();
    const reader = info.readable.getReader();
    const sends = async (to) => {
      await writer.write({ data: bytes("hello"), ...to });
      const got = await told(reader.read());
      return [message(got), got.value.remoteAddress, got.value.remotePort === echo];
    };
    answers.push(await told(sends({ remoteAddress: "127.0.0.1", remotePort: echo })));
    answers.push(await told(sends({ remoteAddress: "localhost", remotePort: echo, dnsQueryType: "ipv4" })));
    answers.push(await told(sends({ remoteAddress: "127.0.0.1", remotePort: `${echo}`, other: 1 })));
    writer.releaseLock();
    reader.releaseLock();
    answers.push(`${await told(socket.close())}`, host.length > 0);
    return answers;
  },

  "a datagram that can't be sent ends the writing side": async ({ UDPSocket }, { host, echo }) => {
    const answers = [];
    const connected = { remoteAddress: host, remotePort: echo };
    const bound = { localAddress: "127.0.0.1" };
    const data = bytes("x");
    const to = { remoteAddress: "127.0.0.1", remotePort: echo };
    for (const [options, datagram] of [
      [connected, {}],
      [connected, null],
      [connected, undefined],
      [connected, "text"],
      [connected, data],
      [connected, { data: "text" }],
      [connected, { data: null }],
      [connected, { data: new Uint8Array() }],
      [connected, { data, ...to }],
      [connected, { data, remoteAddress: host }],
      [connected, { data, remotePort: echo }],
      [connected, { data, dnsQueryType: "ipv4" }],
      [connected, { data, dnsQueryType: "ipv5" }],
      [connected, { data: new Uint8Array(65_508) }],
      [bound, { data }],
      [bound, { data, remoteAddress: host }],
      [bound, { data, remotePort: echo }],
      [bound, { ...to }],
      [bound, { data: new Uint8Array(), ...to }],
      [bound, { data: new Uint8Array(65_508), ...to }],
      [bound, { data, remoteAddress: "127.0.0.1", remotePort: 0 }],
      [bound, { data, remoteAddress: "127.0.0.1", remotePort: 65_536 }],
      [bound, { data, remoteAddress: "127.0.0.1", remotePort: -1 }],
      [bound, { data, remoteAddress: "127.0.0.1", remotePort: 70_000 }],
      [bound, { data, remoteAddress: "255.255.255.255", remotePort: echo }],
      [bound, { data, remoteAddress: "nowhere.invalid", remotePort: echo }],
      [bound, { data, remoteAddress: "", remotePort: echo }],
      [bound, { data, ...to, dnsQueryType: "ipv6" }],
    ]) {
      const { socket, readable, writable } = await open(new UDPSocket(options));
      const writer = writable.getWriter();
      writer.closed.catch(() => undefined);
      const before = await told(writer.write(datagram));
      const broken = await told(writer.write({ data, ...(options === bound && to) }));
      const reader = readable.getReader();
      const read = reader.read();
      read.catch(() => undefined);
      answers.push([before ?? "sent", broken ?? "sent", await state(socket.closed), await state(read.then(() => "datagram"))]);
      await reader.cancel();
      if (!/^TypeError/.test(before)) {
        answers.at(-1).push(await state(socket.closed));
      }
    }
    return answers;
  },

  "the largest datagrams arrive": async ({ UDPSocket }, { host, echo }) => {
    const { socket, readable, writable } = await open(new UDPSocket({ remoteAddress: host, remotePort: echo }));
    const writer = writable.getWriter();
    const reader = readable.getReader();
    const answers = [];
    for (const length of [1, 1472, 9000, 65_507]) {
      await writer.write({ data: new Uint8Array(length).fill(length) });
      const got = await told(reader.read());
      answers.push(got.value?.data.length, got.value?.data.at(-1));
    }
    writer.releaseLock();
    reader.releaseLock();
    await socket.close();
    return answers;
  },

  "nobody at a UDP port is no error": async ({ UDPSocket }, { host, refused }) => {
    const { socket, readable, writable } = await open(new UDPSocket({ remoteAddress: host, remotePort: refused }));
    const writer = writable.getWriter();
    const answers = [];
    for (let number = 0; number < 3; number += 1) {
      answers.push(`${await told(writer.write({ data: bytes("x") }))}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const reader = readable.getReader();
    const read = reader.read();
    answers.push(await state(read), await state(socket.closed));
    writer.releaseLock();
    await reader.cancel();
    reader.releaseLock();
    answers.push(`${await told(socket.close())}`);
    return answers;
  },

  "a server takes connections": async ({ TCPSocket, TCPServerSocket }) => {
    const { socket: server, ...info } = await open(new TCPServerSocket("127.0.0.1"));
    const answers = [Object.keys(info).sort(), info.localAddress, info.localPort >= 32768];
    const reader = info.readable.getReader();
    const client = await open(new TCPSocket("127.0.0.1", info.localPort));
    const taken = await told(reader.read());
    answers.push(taken.done, taken.value instanceof TCPSocket, Object.prototype.toString.call(taken.value));
    const { socket, ...there } = await open(taken.value);
    answers.push(Object.keys(there).sort(), there.remoteAddress, there.remotePort === client.localPort);
    const writer = client.writable.getWriter();
    await writer.write(bytes("hello"));
    const taking = there.readable.getReader();
    answers.push(await told(readAll(taking, 5)));
    const answering = there.writable.getWriter();
    await answering.write(bytes("there"));
    const hearing = client.readable.getReader();
    answers.push(await told(readAll(hearing, 5)));
    for (const lock of [writer, taking, answering, hearing]) lock.releaseLock();
    answers.push(await told(() => server.close()));
    reader.releaseLock();
    answers.push(`${await told(server.close())}`, `${await told(server.closed)}`);
    // What was taken lives on.
    const more = client.writable.getWriter();
    await more.write(bytes("more"));
    const again = there.readable.getReader();
    answers.push(await told(readAll(again, 4)));
    more.releaseLock();
    again.releaseLock();
    answers.push(`${await told(socket.close())}`, `${await told(client.socket.close())}`);
    return answers;
  },

  "a server that is closed reads no more": async ({ TCPServerSocket }) => {
    const { socket, readable } = await open(new TCPServerSocket("127.0.0.1"));
    const closed = socket.close();
    const answers = [closed === socket.closed, `${await told(closed)}`, `${await told(socket.close())}`];
    answers.push(seen(await readable.getReader().read()));
    const other = await open(new TCPServerSocket("127.0.0.1"));
    await other.readable.cancel();
    answers.push(await state(other.socket.closed));
    return answers;
  },

  "a server can't listen where it may not": async ({ TCPServerSocket }, { taken }) => [
    await told(new TCPServerSocket("127.0.0.1", { localPort: taken }).opened),
    await told(new TCPServerSocket("127.0.0.1", { localPort: 80 }).opened),
    await told(new TCPServerSocket("127.0.0.1", { localPort: 32_767 }).opened),
    await told(new TCPServerSocket("192.0.2.1").opened),
  ],

  "a UDP socket can't be bound where it may not": async ({ UDPSocket }, { taken }) => [
    await told(new UDPSocket({ localAddress: "127.0.0.1", localPort: taken }).opened),
    await told(new UDPSocket({ localAddress: "127.0.0.1", localPort: 80 }).opened),
    await told(new UDPSocket({ localAddress: "192.0.2.1" }).opened),
    await told(new UDPSocket({ remoteAddress: "nowhere.invalid", remotePort: 5 }).opened),
  ],

  "a UDP socket can be connected to port 0": async ({ UDPSocket }) => [
    await told(new UDPSocket({ remoteAddress: "127.0.0.1", remotePort: 0 }).opened.then(() => "opened")),
  ],
};

/** Multicast, which must not leave the machine: in a network of its own. */
const multicast = {
  "groups are checked": async ({ UDPSocket }, { interface: at }) => {
    const { socket, multicastController: groups } = await open(new UDPSocket({ localAddress: at }));
    const answers = [Object.prototype.toString.call(groups), groups.joinedGroups, Object.isFrozen(groups.joinedGroups)];
    for (const name of ["joinGroup", "leaveGroup"]) {
      answers.push(groups[name].length);
      for (const given of [[], [""], ["x"], ["127.0.0.1"], [null], ["224.0.0.300"], ["239.1.2.3", 5], ["ff02::zz"]]) {
        answers.push(await told(() => groups[name](...given)));
      }
    }
    answers.push(await told(groups.leaveGroup("239.1.2.3")));
    await socket.close();
    answers.push(await told(() => groups.joinGroup("239.1.2.3")), await told(() => groups.leaveGroup("239.1.2.3")));
    return answers;
  },

  "a group is joined, heard and left": async ({ UDPSocket }) => {
    const any = { localAddress: "0.0.0.0" };
    const { socket, readable, localPort, multicastController: groups } = await open(new UDPSocket(any));
    const answers = [];
    const joining = groups.joinGroup("239.1.2.3");
    answers.push(await told(() => groups.joinGroup("239.1.2.3")));
    const joined = await told(joining);
    if (/^NotSupportedError/.test(joined)) {
      await socket.close();
      return [joined];
    }
    answers.push(`${joined}`);
    answers.push(await told(() => groups.joinGroup("239.1.2.3")), groups.joinedGroups);
    const sender = await open(new UDPSocket({ ...any, multicastLoopback: true, multicastTimeToLive: 1 }));
    const writer = sender.writable.getWriter();
    const reader = readable.getReader();
    await writer.write({ data: bytes("group"), remoteAddress: "239.1.2.3", remotePort: localPort });
    answers.push(await told(reader.read().then(message)));
    const leaving = groups.leaveGroup("239.1.2.3");
    answers.push(await told(() => groups.leaveGroup("239.1.2.3")), `${await told(leaving)}`, groups.joinedGroups);
    answers.push(await told(() => groups.leaveGroup("239.1.2.3")));
    await groups.joinGroup("239.1.2.4");
    answers.push(groups.joinedGroups);
    writer.releaseLock();
    reader.releaseLock();
    await socket.close();
    answers.push(groups.joinedGroups);
    await sender.socket.close();
    return answers;
  },

  "addresses can be shared": async ({ UDPSocket }, { free }) => {
    const shared = { localAddress: "0.0.0.0", localPort: free, multicastAllowAddressSharing: true };
    const first = await open(new UDPSocket(shared));
    const second = await open(new UDPSocket(shared));
    const alone = await told(new UDPSocket({ localAddress: "0.0.0.0", localPort: first.localPort }).opened);
    const answers = [second.localPort === first.localPort, alone];
    await first.socket.close();
    await second.socket.close();
    return answers;
  },

  "a connected socket has no groups": async ({ UDPSocket }, { interface: at }) => {
    const { socket, ...info } = await open(new UDPSocket({ remoteAddress: at, remotePort: 5 }));
    await socket.close();
    return ["multicastController" in info];
  },
};

/** The cases that there are. */
export const sets = { cases, multicast };

/** The answers of the cases of a set, by their names. */
export async function run(set, sockets, at) {
  const answers = {};
  for (const [name, ask] of Object.entries(sets[set])) {
    answers[name] = await ask(sockets, at).catch((error) => [`it throws: ${text(error)} ${error?.stack}`]);
  }
  // As it travels.
  return JSON.parse(JSON.stringify(answers));
}
