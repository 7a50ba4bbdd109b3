// A back end that has the relay mint a token for somebody: the example of docs/tokens.md, asked for a token of
// this name by the socket at this path.
import { connect } from 'node:net';

async function mint(path, request) {
  const socket = connect(path);
  socket.write(`${JSON.stringify({ ask: 'mint', ...request })}\n`);
  const answer = [];
  for await (const part of socket) answer.push(part);
  const { jwt, error } = JSON.parse(Buffer.concat(answer).toString() || '{}');
  if (!jwt) throw new Error(error ?? 'the answer was cut off');
  return jwt;
}

const [path, token, sub] = process.argv.slice(1);
console.log(await mint(path, { token, sub, seconds: 300 }));
