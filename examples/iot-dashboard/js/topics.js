// @ts-check
/** Topics as a tree: their levels, which of them are folded, and which rows that leaves. No DOM here. */

/**
 * @typedef {object} Folder
 * @property {string} path With the slash at its end.
 * @property {string} name What it is called within the folder around it.
 * @property {number} depth
 * @property {number} count How many topics are in it, at any depth.
 * @property {Map<string, Folder>} folders
 * @property {{ key: string, name: string }[]} topics
 *
 * @typedef {{ kind: 'folder', path: string, name: string, depth: number, count: number, open: boolean }
 *   | { kind: 'item', key: string, name: string, depth: number }} Entry
 */

/** The topics of this many are all seen at first; of more, the folders. */
const OPEN = 100;

const order = new Intl.Collator(undefined, { numeric: true });

export class Topics {
  /** Folders that were folded or unfolded by hand. @type {Map<string, boolean>} */
  #turned = new Map();
  /** @type {Folder} */
  #root = folder('', '', 0);
  #size = -1;

  /** @param {string} path @param {boolean} open */
  turn(path, open) {
    this.#turned.set(path, open);
  }

  /**
   * The rows that are to be seen, at most so many, and how many there would be.
   * @param {string[]} keys All topics.
   * @param {number} most
   * @returns {{ entries: Entry[], all: number }}
   */
  entries(keys, most) {
    // A topic that is known once stays, so that their number tells whether there are others.
    if (this.#size !== keys.length) {
      this.#size = keys.length;
      this.#root = tree(keys);
    }
    /** @type {Entry[]} */
    const entries = [];
    let all = 0;
    const add = (/** @type {Entry} */ entry) => {
      all += 1;
      if (entries.length < most) {
        entries.push(entry);
      }
    };
    const visit = (/** @type {Folder} */ at) => {
      at.topics.forEach(({ key, name }) => add({ kind: 'item', key, name, depth: at.depth }));
      for (const inner of at.folders.values()) {
        const { path, name, count } = inner;
        const open = this.#turned.get(path) ?? keys.length <= OPEN;
        add({ kind: 'folder', path, name, depth: at.depth, count, open });
        if (open) {
          visit(inner);
        }
      }
    };
    visit(this.#root);
    return { entries, all };
  }
}

/** @param {string[]} keys */
function tree(keys) {
  const root = folder('', '', 0);
  for (const key of [...keys].sort(order.compare)) {
    const levels = key.split('/');
    const name = levels.pop() ?? '';
    let at = root;
    at.count += 1;
    for (const level of levels) {
      let inner = at.folders.get(level);
      if (!inner) {
        inner = folder(`${at.path}${level}/`, `${level}/`, at.depth + 1);
        at.folders.set(level, inner);
      }
      at = inner;
      at.count += 1;
    }
    at.topics.push({ key, name });
  }
  root.folders.forEach((inner, level) => root.folders.set(level, joined(inner, 1)));
  return root;
}

/** What has nothing but one folder in it is one with that. @param {Folder} at @param {number} depth @returns {Folder} */
function joined(at, depth) {
  let whole = at;
  while (whole.topics.length === 0 && whole.folders.size === 1) {
    const [inner] = /** @type {[Folder]} */ ([...whole.folders.values()]);
    whole = { ...inner, name: whole.name + inner.name };
  }
  const folders = new Map([...whole.folders].map(([level, inner]) => [level, joined(inner, depth + 1)]));
  return { ...whole, depth, folders };
}

/** @param {string} path @param {string} name @param {number} depth @returns {Folder} */
function folder(path, name, depth) {
  return { path, name, depth, count: 0, folders: new Map(), topics: [] };
}
