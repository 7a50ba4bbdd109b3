// The files of the page, as any web server would serve them.

import { readFile } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

const { PAGE = '../../dist/log-in' } = process.env;
const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/** The answer with what lies at a path. @param {string} path Of a URL, and so without `..` between slashes. */
export async function file(path) {
  try {
    const name = join(PAGE, decodeURIComponent(path.endsWith('/') ? `${path}index.html` : path));
    if (!name.startsWith(join(PAGE, sep))) return [404];
    const type = TYPES[extname(name)] ?? 'application/octet-stream';
    return [200, await readFile(name), { 'Content-Type': type }];
  } catch {
    return [404];
  }
}
