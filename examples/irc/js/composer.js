// @ts-check
/** Where one writes: several lines, what was written before, and the completion of names. */

import { $, field } from '../shared/js/dom.js';
import { fold } from './text.js';

/** How many lines one typed can be called back. */
const HISTORY = 100;
/** How many lines may go at once: more is a mistake, or a nuisance to others. */
const MAX_LINES = 20;

/**
 * @typedef {object} Writing What the composer asks of the page.
 * @property {(line: string) => void} enter A line was written.
 * @property {(text: string) => void} refuse Says why it isn't sent.
 * @property {(begun: string, first: boolean) => string[]} complete What a word could become; `first`: it begins the line.
 */

/** @typedef {{ start: number, typed: string, rest: string, found: string[], at: number }} Completion */

export class Composer {
  /** @type {string[]} */
  #history = [];
  /** How far back one has gone in it; 0 for what one writes now. */
  #back = 0;
  #draft = '';
  /** @type {Completion | null} */
  #completion = null;
  /** Escape was pressed: Tab goes on to what comes next in the page, until something is written. */
  #left = false;

  /** @param {Writing} writing */
  constructor(writing) {
    this.writing = writing;
    this.input = field('input');
    $('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    this.input.addEventListener('input', () => {
      this.#completion = null;
      this.#left = false;
      this.#back = 0;
    });
    this.input.addEventListener('keydown', (event) => {
      if (this.#key(event)) {
        event.preventDefault();
      }
    });
  }

  get text() {
    return this.input.value;
  }

  set text(text) {
    this.input.value = text;
    this.#completion = null;
    this.#back = 0;
  }

  focus() {
    this.input.focus();
  }

  /** Takes a completion back. Whether there was one. */
  undo() {
    const completion = this.#completion;
    this.#left = true;
    if (!completion) {
      return false;
    }
    this.#put(completion, completion.typed);
    this.#completion = null;
    return true;
  }

  #send() {
    const lines = this.input.value.split('\n').map((line) => line.trimEnd()).filter(Boolean);
    this.focus();
    if (lines.length > MAX_LINES) {
      this.writing.refuse(`These are ${lines.length} lines; ${MAX_LINES} may go at once.`);
      return;
    }
    this.text = '';
    for (const line of lines) {
      if (this.#history.at(-1) !== line) {
        this.#history.push(line);
      }
      this.writing.enter(line);
    }
    this.#history.splice(0, this.#history.length - HISTORY);
  }

  /** Whether the key is done with. @param {KeyboardEvent} event */
  #key(event) {
    const { key, altKey, ctrlKey, metaKey, shiftKey, isComposing } = event;
    if (isComposing || altKey || ctrlKey || metaKey) {
      return false;
    }
    const { value, selectionStart, selectionEnd } = this.input;
    switch (key) {
      case 'Enter':
        if (!shiftKey) {
          this.#send();
        }
        return !shiftKey;
      case 'Tab':
        return !this.#left && this.#complete(shiftKey ? -1 : 1);
      case 'ArrowUp':
        return !shiftKey && !value.slice(0, selectionStart ?? 0).includes('\n') && this.#recall(1);
      case 'ArrowDown':
        return !shiftKey && !value.slice(selectionEnd ?? 0).includes('\n') && this.#recall(-1);
      default:
        return false;
    }
  }

  /** @param {1 | -1} step Backwards, or forwards again. */
  #recall(step) {
    const back = this.#back + step;
    if (back < 0 || back > this.#history.length) {
      return false;
    }
    if (this.#back === 0) {
      this.#draft = this.input.value;
    }
    this.text = back === 0 ? this.#draft : this.#history.at(-back) ?? '';
    this.#back = back;
    this.input.setSelectionRange(this.text.length, this.text.length);
    return true;
  }

  /** Puts the next name there that fits. Whether there is one. @param {1 | -1} step */
  #complete(step) {
    let completion = this.#completion;
    if (!completion) {
      const at = this.input.selectionStart ?? 0;
      const before = this.input.value.slice(0, at);
      const start = before.search(/\S+$/u);
      if (start < 0) {
        return false;
      }
      const typed = before.slice(start);
      const found = this.writing.complete(typed, start === 0);
      if (found.length === 0) {
        return false;
      }
      completion = { start, typed, rest: this.input.value.slice(at), found, at: step > 0 ? -1 : 0 };
      this.#completion = completion;
    }
    const { found } = completion;
    completion.at = (completion.at + step + found.length) % found.length;
    this.#put(completion, found[completion.at] ?? '');
    return true;
  }

  /** @param {Completion} completion @param {string} word */
  #put({ start, rest }, word) {
    this.input.value = `${this.input.value.slice(0, start)}${word}${rest}`;
    this.input.setSelectionRange(start + word.length, start + word.length);
  }
}

/**
 * Those that begin so, as IRC compares names.
 * @param {Iterable<string>} names
 * @param {string} begun
 */
export function beginning(names, begun) {
  const folded = fold(begun);
  return [...names].filter((name) => fold(name).startsWith(folded));
}
