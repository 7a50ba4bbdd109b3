// @ts-check
/** The dashboard, the list beside it, and the switch to one broker's or device's own page. */

import { drawLock, showConnection } from '../shared/js/connection.js';
import { $, button, element, icon, span } from '../shared/js/dom.js';
import { Details } from './details.js';
import { Tile, setText } from './tile.js';

/** @import { AnySource } from './tile.js' */
/** @import { SavedSource } from './saved.js' */

/**
 * @typedef {object} Actions
 * @property {(suggested?: SavedSource) => void} add
 * @property {(source: AnySource) => void} remove
 * @property {(source: AnySource) => void} change
 * @property {(source: AnySource, key: string) => void} edit
 * @property {(suggested: SavedSource) => void} take
 */

/** Something that is drawn again. @typedef {{ root: HTMLElement, update: () => void, destroy: () => void }} Part */

export class View {
  /** @type {AnySource[]} */
  sources = [];
  /** What the site's owner proposes. @type {SavedSource[]} */
  suggested = [];
  /** The one whose page is shown. @type {AnySource | null} */
  current = null;
  /** @type {Map<AnySource, Section>} */
  #sections = new Map();
  /** @type {Map<AnySource, Entry>} */
  #entries = new Map();
  /** @type {Details | null} */
  #details = null;
  #scheduled = false;
  #welcome;
  #home;

  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.#welcome = new Welcome(actions);
    this.#home = element('li', '', linkTo('', icon('grid'), span('name', 'Dashboard')));
    $('entries').append(this.#home);
    window.setInterval(() => this.changed(), 1000);
    window.addEventListener('hashchange', () => this.go());
    document.addEventListener('visibilitychange', () => this.changed());
  }

  /** Draws again, at the next frame. */
  changed() {
    if (!this.#scheduled && !document.hidden) {
      this.#scheduled = true;
      requestAnimationFrame(() => {
        this.#scheduled = false;
        this.draw();
      });
    }
  }

  /** Shows what the address names. */
  go() {
    const id = decodeURIComponent(window.location.hash.slice(1));
    this.current = this.sources.find(({ saved }) => saved.id === id) ?? null;
    this.draw();
    $('view').scrollTop = 0;
  }

  draw() {
    const { current, sources } = this;
    this.#list();
    const details = this.#details;
    if (details && details.source !== current) {
      details.destroy();
      this.#details = null;
    }
    for (const [source, section] of this.#sections) {
      if (current || !sources.includes(source)) {
        section.destroy();
        this.#sections.delete(source);
      }
    }
    const view = $('view');
    $('subtitle').hidden = !current && sources.length === 0;
    if (current) {
      this.#details ??= new Details(current, this.actions);
      this.#details.update();
      place(view, [this.#details]);
      setText($('title'), current.name);
      setText($('subtitle'), current.saved.url);
    } else {
      setText($('title'), 'Dashboard');
      setText($('subtitle'), summary(sources));
      const sections = sources.map((source) => {
        let section = this.#sections.get(source);
        if (!section) {
          section = new Section(source, this.actions);
          this.#sections.set(source, section);
        }
        section.update();
        return section;
      });
      this.#welcome.update(this.suggested, sources.length > 0);
      place(view, this.#welcome.shown ? [...sections, this.#welcome] : sections);
    }
    document.title = current ? `${current.name} · Jackfield IoT` : 'Jackfield IoT';
    $('trouble').hidden = !sources.some(({ state }) => state === 'failed' || state === 'waiting');
  }

  #list() {
    for (const [source, entry] of this.#entries) {
      if (!this.sources.includes(source)) {
        entry.root.remove();
        this.#entries.delete(source);
      }
    }
    mark(this.#home, this.current === null);
    for (const source of this.sources) {
      let entry = this.#entries.get(source);
      if (!entry) {
        entry = new Entry(source);
        this.#entries.set(source, entry);
      }
      entry.update(this.current === source);
    }
    const entries = this.sources.flatMap((source) => this.#entries.get(source) ?? []);
    place($('entries'), [{ root: this.#home }, ...entries]);
  }
}

/** A broker or device in the list. */
class Entry {
  /** @param {AnySource} source */
  constructor(source) {
    this.source = source;
    this.name = span('name', '');
    this.state = span('state-dot', '');
    this.told = span('visually-hidden', '');
    this.root = element('li', '', linkTo(source.saved.id, icon(source.kind === 'mqtt' ? 'broker' : 'device'), this.name, this.told, this.state));
    this.root.dataset.source = source.name;
  }

  /** @param {boolean} current */
  update(current) {
    setText(this.name, this.source.name);
    setText(this.told, `, ${stateWord(this.source)}`);
    this.state.dataset.state = this.source.state;
    mark(this.root, current);
  }
}

/** One broker or device on the dashboard. */
class Section {
  /** @type {Map<string, Tile>} */
  #tiles = new Map();

  /** @param {AnySource} source @param {Actions} actions */
  constructor(source, actions) {
    this.source = source;
    this.actions = actions;
    this.name = element('h2', '');
    this.status = new Status(source);
    this.large = element('div', 'tiles');
    this.small = element('div', 'tiles small');
    this.empty = element('p', 'muted nothing');
    const title = linkTo(source.saved.id, icon(source.kind === 'mqtt' ? 'broker' : 'device'), this.name);
    title.className = 'source-title';
    this.root = element('section', 'source', element('header', '', title, ...this.status.parts), this.status.banner, this.large, this.small, this.empty);
    this.root.dataset.source = source.name;
  }

  update() {
    const { source } = this;
    setText(this.name, source.name);
    this.status.update();
    const keys = source.saved.pins.map(({ key }) => key);
    for (const [key, tile] of this.#tiles) {
      if (!keys.includes(key)) {
        tile.destroy();
        this.#tiles.delete(key);
      }
    }
    const tiles = keys.map((key) => {
      let tile = this.#tiles.get(key);
      if (!tile) {
        tile = new Tile(source, key, this.actions.edit);
        this.#tiles.set(key, tile);
      }
      tile.update();
      return tile;
    });
    // A chart or a file wants more room than a word.
    const [charts, files] = ['number', 'upload'].map((kind) => tiles.filter((tile) => tile.kind === kind));
    const large = [...charts ?? [], ...files ?? []];
    place(this.large, large);
    place(this.small, tiles.filter((tile) => !large.includes(tile)));
    this.large.hidden = this.large.children.length === 0;
    this.small.hidden = this.small.children.length === 0;
    this.empty.hidden = keys.length > 0;
    setText(this.empty, source.state === 'connected'
      ? `Nothing to show yet: choose from ${source.kind === 'mqtt' ? 'the topics' : 'the resources'} of ${source.name}.`
      : 'Nothing to show yet.');
  }

  destroy() {
    this.#tiles.forEach((tile) => tile.destroy());
    this.root.remove();
  }
}

/** How a connection fares: a word, a lock, and a banner when something is wrong. */
export class Status {
  /** @param {AnySource} source */
  constructor(source) {
    this.source = source;
    this.pill = span('pill', '');
    this.lock = button('lock', () => showConnection(source.security, {
      kind: source.networkKind,
      relay: source.around.relay,
      server: source.host,
      transport: source.saved.url.startsWith('coap:') ? 'UDP' : 'TCP',
      ownRoots: source.around.ownRoots,
      lag: null,
    }), icon('lock'), span('', ''));
    this.lock.setAttribute('aria-haspopup', 'dialog');
    this.text = span('', '');
    this.retry = button('quiet', () => source.retry(), 'Try now');
    this.banner = element('div', 'banner', this.text, this.retry);
    this.parts = [this.pill, this.lock];
  }

  update() {
    const { source, banner } = this;
    const { state, problem, note } = source;
    setText(this.pill, stateWord(source));
    this.pill.dataset.state = state;
    drawLock(this.lock, source.security, source.host);
    const bad = state === 'waiting' || state === 'failed';
    const left = source.retryAt === null ? 0 : Math.max(0, Math.ceil((source.retryAt - Date.now()) / 1000));
    const trying = state === 'waiting' ? (left > 0 ? ` Trying again in ${left} s.` : ' Trying again…') : '';
    const text = bad ? problem + trying : note;
    banner.hidden = text === '';
    banner.className = `banner ${bad ? 'error' : 'good'}`;
    setText(this.text, text);
    this.retry.hidden = !bad || source.trying;
  }
}

/** What there is to do while there is nothing to see. */
class Welcome {
  shown = false;
  #drawn = '';

  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.root = element('section', 'hello');
  }

  /** @param {SavedSource[]} suggested @param {boolean} some */
  update(suggested, some) {
    this.shown = !some || suggested.length > 0;
    const drawn = JSON.stringify([suggested, some]);
    if (drawn === this.#drawn) {
      return;
    }
    this.#drawn = drawn;
    const cards = suggested.map((source) => {
      const kind = source.url.startsWith('coap') ? 'device' : 'broker';
      const card = button('suggestion', () => this.actions.take(source), icon(kind), element('span', '', element('strong', '', source.name), span('muted', source.url)), span('plus', 'Add'));
      return element('li', '', card);
    });
    const add = button('primary', () => this.actions.add(), icon('plus'), ' Add broker or device');
    this.root.replaceChildren(
      ...(some ? [] : [
        element('h2', '', 'Nothing here yet'),
        element('p', 'muted', 'Name an MQTT broker to see its topics live, or a CoAP device to observe what it measures and to switch what it can switch.'),
      ]),
      ...(cards.length > 0 ? [element('h3', '', some ? 'Also here' : 'Running here'), element('ul', 'suggestions', ...cards)] : []),
      ...(some ? [] : [add]),
    );
    this.root.classList.toggle('small', some);
  }
}

/** @param {AnySource} source */
export function stateWord({ state }) {
  switch (state) {
    case 'connected': return 'connected';
    case 'connecting': return 'connecting…';
    case 'waiting': return 'reconnecting…';
    case 'failed': return 'not connected';
    default: return 'closed';
  }
}

/** @param {AnySource[]} sources */
function summary(sources) {
  const count = (/** @type {string} */ kind, /** @type {string} */ one) => {
    const some = sources.filter((source) => source.kind === kind).length;
    return `${some} ${one}${some === 1 ? '' : 's'}`;
  };
  return `${count('mqtt', 'broker')}, ${count('coap', 'device')}`;
}

/** @param {string} id @param {...(Node | string)} children */
function linkTo(id, ...children) {
  const link = element('a', 'open', ...children);
  link.href = `#${encodeURIComponent(id)}`;
  return link;
}

/** @param {HTMLElement} item @param {boolean} current */
function mark(item, current) {
  item.classList.toggle('current', current);
  if (current) {
    item.firstElementChild?.setAttribute('aria-current', 'page');
  } else {
    item.firstElementChild?.removeAttribute('aria-current');
  }
}

/** Puts these parts there and nothing else, and moves only what stands elsewhere. @param {Element} parent @param {Pick<Part, 'root'>[]} parts */
export function place(parent, parts) {
  parts.forEach(({ root }, at) => {
    if (parent.children[at] !== root) {
      parent.insertBefore(root, parent.children[at] ?? null);
    }
  });
  while (parent.children.length > parts.length) {
    parent.lastElementChild?.remove();
  }
}

