// Verifies the relay's tokens with jose, and makes some for it. Both are JSON, by algorithm: the one
// argument has `private` and `public` keys, `ours` and the `claims` to make; what is printed, `read` and
// `made`.
import { SignJWT, importPKCS8, importSPKI, jwtVerify } from 'jose';

const asked = JSON.parse(process.argv[1]);
const key = (text, algorithm, read) =>
  algorithm === 'HS256' ? new TextEncoder().encode(text) : read(text, algorithm);

const read = {};
for (const [algorithm, token] of Object.entries(asked.ours)) {
  const known = await key(asked.public[algorithm], algorithm, importSPKI);
  const options = { algorithms: [algorithm], audience: asked.claims.aud };
  read[algorithm] = (await jwtVerify(token, known, options)).payload;
}
const made = {};
for (const [algorithm, text] of Object.entries(asked.private)) {
  const own = await key(text, algorithm, importPKCS8);
  made[algorithm] = await new SignJWT(asked.claims).setProtectedHeader({ alg: algorithm }).sign(own);
}
console.log(JSON.stringify({ read, made }));
