// @ts-check
/** What pages build themselves from. All text goes in as text. */

/**
 * The element with this id, which index.html has.
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function $(id) {
  const element = document.getElementById(id);
  if (!element) {
    throw new Error(`the page has no #${id}`);
  }
  return /** @type {T} */ (/** @type {unknown} */ (element));
}

/** @param {string} id */
export const field = (id) => /** @type {HTMLInputElement} */ ($(id));

/**
 * An element, with what is in it.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} name Its class, or classes.
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, name, ...children) {
  const made = document.createElement(tag);
  made.className = name;
  made.append(...children);
  return made;
}

/** @param {string} name @param {string} text */
export function span(name, text) {
  return element('span', name, text);
}

/** @param {string} name @param {() => void} press @param {...(Node | string)} children */
export function button(name, press, ...children) {
  const made = element('button', name, ...children);
  made.type = 'button';
  made.addEventListener('click', press);
  return made;
}

/** One of shared/icons.svg. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  setIcon(svg, name);
  return svg;
}

/** @param {Element} svg @param {string} name */
export function setIcon(svg, name) {
  const [use, href] = [svg.querySelector('use'), `shared/icons.svg#${name}`];
  // What is set again is drawn again, and is not there meanwhile.
  if (use && use.getAttribute('href') !== href) {
    use.setAttribute('href', href);
  }
}

/** Terms and what they are, as a list of definitions holds them. @param {[string, string][]} facts */
export function definitions(facts) {
  return facts.flatMap(([name, value]) => [element('dt', '', name), element('dd', '', value)]);
}

/**
 * Side columns that are drawers where there is no room for them: `#name` each, opened by
 * `#open-name`, over the `#scrim`.
 * @param {string[]} names
 * @returns {() => void} Closes them.
 */
export function drawers(names) {
  /** @param {string | undefined} wanted */
  const open = (wanted) => {
    for (const name of names) {
      const wants = name === wanted;
      const was = $(name).classList.contains('open');
      $(name).classList.toggle('open', wants);
      $(`open-${name}`).setAttribute('aria-expanded', String(wants));
      if (wants) {
        /** @type {HTMLElement | null} */ ($(name).querySelector('button, input, a'))?.focus();
      } else if (was && $(name).contains(document.activeElement)) {
        $(`open-${name}`).focus();
      }
    }
    $('scrim').hidden = wanted === undefined;
  };
  for (const name of names) {
    $(`open-${name}`).addEventListener('click', () => open($(name).classList.contains('open') ? undefined : name));
  }
  const close = () => open(undefined);
  $('scrim').addEventListener('click', close);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      close();
    }
  });
  return close;
}
