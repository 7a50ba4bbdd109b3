// @ts-check
/** What a chart shows: values over time, and the times of which nothing is known. */

/** How many values are kept where there is a chart, and where there may be one later; older ones go. */
export const CHARTED = 2000;
const UNCHARTED = 200;
/** How many gaps are kept. */
const MAX_GAPS = 50;

/** @typedef {{ from: number, to: number | null }} Gap In milliseconds since 1970; null while it lasts. */

export class Series {
  /** In seconds since 1970, growing. @type {number[]} */
  times = [];
  /** @type {number[]} */
  values = [];
  /** @type {Gap[]} */
  gaps = [];
  /** How many values are kept. */
  room = UNCHARTED;

  /**
   * Adds a value where its time puts it: what a session had kept comes after what is newer.
   * @param {number} time In milliseconds since 1970.
   * @param {number} value
   */
  add(time, value) {
    const seconds = time / 1000;
    let at = this.times.length;
    while (at > 0 && /** @type {number} */ (this.times[at - 1]) > seconds) {
      at -= 1;
    }
    if (this.times[at - 1] === seconds) {
      this.values[at - 1] = value;
      return;
    }
    this.times.splice(at, 0, seconds);
    this.values.splice(at, 0, value);
    if (this.times.length > this.room) {
      this.times.shift();
      this.values.shift();
    }
  }

  /** Nothing more is known: the connection is lost, or what is measured is gone. @param {number} time */
  lost(time) {
    if (this.gaps.at(-1)?.to !== null) {
      this.gaps.push({ from: time, to: null });
      this.gaps.splice(0, this.gaps.length - MAX_GAPS);
    }
  }

  /** It is back. @param {number} time */
  back(time) {
    const last = this.gaps.at(-1);
    if (last && last.to === null) {
      last.to = time;
    }
  }

  /**
   * The line since then, with the value before that leads it in: times and values. It is broken by a
   * null where a gap has no value.
   * @param {number} since In seconds since 1970.
   * @returns {[number[], (number | null)[]]}
   */
  line(since) {
    const after = this.times.findIndex((time) => time > since);
    const first = after === -1 ? this.times.length - 1 : after - 1;
    const times = this.times.slice(Math.max(first, 0));
    /** @type {(number | null)[]} */
    const values = this.values.slice(Math.max(first, 0));
    for (const { from, to } of this.gaps) {
      const at = times.findIndex((time) => time * 1000 > from);
      const next = times[at];
      if (at > 0 && next !== undefined && to !== null && next * 1000 >= to) {
        times.splice(at, 0, from / 1000);
        values.splice(at, 0, null);
      }
    }
    return [times, values];
  }

  /** The least and the greatest value since then, if there is one. @param {number} since */
  range(since) {
    const values = this.values.filter((_, at) => /** @type {number} */ (this.times[at]) * 1000 >= since);
    return values.length === 0 ? null : { least: Math.min(...values), greatest: Math.max(...values) };
  }
}
