// The back end of an application with a log-in, whose pages use a relay: whoever is logged in gets a token for
// some minutes, and gets none, and loses what the last one opened, when he logs out. README.md says how to start it.

import {
  createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, randomUUID, scrypt, sign, timingSafeEqual,
} from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { file } from './files.mjs';

const {
  PORT = '8006', RELAY = 'ws://127.0.0.1:8007/', BROKER = 'mqtts://127.0.0.1:8883', ROOTS, STATE = '.', TOKEN_SECONDS = '300',
} = process.env;
/** Where browsers find this site: another address than its own where a proxy speaks TLS before it. */
let { ORIGIN: origin } = process.env;

// Who there is: the password's hash by scrypt, with its salt, and what the relay may reach for him. The passwords are
// `engine` and `builder`.
const users = new Map([
  ['ada', { salt: 'TtHbYmeN4cWqzDnw', hash: 'RZbBKIxjFKDSmJczC_MSt8HTS0Jy8J1GpQWWhu0Aj80', allow: [rule(BROKER)] }],
  ['bob', { salt: 'k0rG5rYyWv6pUj1Q', hash: '53ljV03_j_NOsr8WE_q3vKB3_dvWbllhS6L_ft-oCjY', allow: [rule(BROKER)] }],
]);
/** Who is logged in: by what stands in the cookie, the name and the tokens (`jti`, and their `exp`). */
const sessions = new Map();
const MAX_SESSIONS = 1000;
const MAX_TOKENS = 20;
/** The tokens that were taken back, until they would have ended by themselves. */
const revoked = new Map();
const MAX_REVOKED = 10_000;

// The private key is the back end's alone; the relay has the public one.
if (!existsSync(`${STATE}/app.key`)) {
  const pem = { type: 'pkcs8', format: 'pem' };
  writeFileSync(`${STATE}/app.key`, generateKeyPairSync('ed25519').privateKey.export(pem), { mode: 0o600 });
}
const key = createPrivateKey(readFileSync(`${STATE}/app.key`));
writeFileSync(`${STATE}/app.pub`, createPublicKey(key).export({ type: 'spki', format: 'pem' }));
writeRevoked();

const routes = {
  async 'POST /log-in'(request) {
    const { name, password } = JSON.parse(await body(request));
    const { salt, hash } = users.get(name) ?? { salt: '', hash: '' };
    // As long for a name that there is not.
    const given = await hashed(String(password), salt);
    if (!timingSafeEqual(given, Buffer.alloc(32, hash, 'base64url'))) return [401];
    if (revoked.size > MAX_REVOKED) return [503];
    const id = randomBytes(32).toString('base64url');
    sessions.set(id, { name, tokens: new Map() });
    // The oldest goes.
    if (sessions.size > MAX_SESSIONS) await logOut(sessions.keys().next().value);
    return [204, '', { 'Set-Cookie': cookie(id) }];
  },
  async 'POST /relay-token'(request) {
    const session = sessions.get(sessionId(request));
    if (!session) return [401];
    const token = mint(session);
    return token ? [200, token] : [429];
  },
  async 'POST /log-out'(request) {
    await logOut(sessionId(request));
    return [204, '', { 'Set-Cookie': cookie('', '; Max-Age=0') }];
  },
  async 'GET /me'(request) {
    const session = sessions.get(sessionId(request));
    if (!session) return [401];
    const roots = ROOTS && readFileSync(ROOTS, 'utf8');
    return [200, JSON.stringify({ name: session.name, relay: RELAY, broker: BROKER, roots })];
  },
};

/** A JWT (RFC 7519) for whoever has this session, signed by EdDSA; what it may say is in docs/tokens.md. */
function mint({ name, tokens }) {
  const now = Math.floor(Date.now() / 1000);
  forget(tokens, now);
  if (tokens.size === MAX_TOKENS) return undefined;
  const [jti, exp] = [randomUUID(), now + Number(TOKEN_SECONDS)];
  tokens.set(jti, exp);
  const claims = { sub: name, jti, iat: now, exp, origins: [origin], allow: users.get(name).allow };
  const said = [{ alg: 'EdDSA', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  return `${said.join('.')}.${sign(null, said.join('.'), key).toString('base64url')}`;
}

/** Ends a session, and at the relay what its tokens have opened. */
async function logOut(id) {
  const session = sessions.get(id);
  if (!session) return;
  sessions.delete(id);
  for (const [jti, exp] of session.tokens) revoked.set(jti, exp);
  writeRevoked();
  const answer = await admin({ ask: 'reload' }).catch(({ message }) => ({ error: message }));
  // He is logged out all the same: what he has ends within TOKEN_SECONDS.
  if (!answer.done) console.error('the relay has not taken back what was revoked:', answer.error);
}

/** Writes what was revoked, whole at any time, where the relay's configuration says (`revoked_file`). */
function writeRevoked() {
  forget(revoked, Date.now() / 1000);
  const lines = [...revoked.keys()].map((jti) => `[[revoked]]\ntoken = "app"\njti = "${jti}"\n`);
  writeFileSync(`${STATE}/revoked.new`, lines.join('\n'));
  renameSync(`${STATE}/revoked.new`, `${STATE}/revoked.toml`);
}

/** Forgets tokens that have ended. */
function forget(tokens, now) {
  for (const [jti, exp] of tokens) if (exp <= now) tokens.delete(jti);
}

/** Asks the relay at its admin socket: a line there, and the answer's last line back (docs/operating.md). */
async function admin(request) {
  const socket = connect(`${STATE}/admin.sock`);
  socket.write(`${JSON.stringify(request)}\n`);
  return JSON.parse((await body(socket)).trim().split('\n').at(-1));
}

/** What a client or the relay says, which is not much. */
async function body(stream) {
  let text = '';
  for await (const part of stream.setEncoding('utf8')) {
    text += part;
    if (text.length > 4096) throw new Error('that is too long');
  }
  return text;
}

function hashed(password, salt) {
  return promisify(scrypt)(password, salt, 32);
}

/** Of this site's own pages alone, and out of reach of their scripts. */
function cookie(id, more = '') {
  return `session=${id}; Path=/; HttpOnly; SameSite=Strict${origin.startsWith('https:') ? '; Secure' : ''}${more}`;
}

function sessionId({ headers }) {
  return /(?:^|; )session=([\w-]+)/.exec(headers.cookie ?? '')?.[1];
}

/** What a relay's rule calls a server: its host and port. */
function rule(url) {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || 8883}`;
}

async function answer(request) {
  const path = new URL(request.url, origin).pathname;
  const route = routes[`${request.method} ${path}`];
  // What changes something comes from a page of this site.
  if (request.method !== 'GET' && request.headers.origin !== origin) return [403];
  return route ? await route(request) : file(path);
}

const server = createServer(async (request, response) => {
  const [status, content = '', headers = {}] = await answer(request).catch(() => [400]);
  response.writeHead(status, { 'Cache-Control': 'no-store', ...headers }).end(content);
});
server.listen(Number(PORT), '127.0.0.1', () => {
  origin ??= `http://127.0.0.1:${server.address().port}`;
  console.log(`listening at ${origin}/`);
});
