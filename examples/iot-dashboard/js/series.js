// @ts-check
/** What a chart shows: values over time, and the times of which nothing is known. */

/** How many values are kept; older ones go. */
const MAX_VALUES = 2000;
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
    if (this.times.length > MAX_VALUES) {
      this.times.shift();
      this.values.shift();
    }
  }

  /** The connection is lost. @param {number} time */
  lost(time) {
    if (this.gaps.at(-1)?.to !== null) {
      this.gaps.push({ from: time, to: null });
      this.gaps.splice(0, this.gaps.length - MAX_GAPS);
    }
  }

  /** The connection is back. @param {number} time */
  back(time) {
    const last = this.gaps.at(-1);
    if (last && last.to === null) {
      last.to = time;
    }
  }

  /** The least and the greatest value since then, if there is one. @param {number} since */
  range(since) {
    const values = this.values.filter((_, at) => /** @type {number} */ (this.times[at]) * 1000 >= since);
    return values.length === 0 ? null : { least: Math.min(...values), greatest: Math.max(...values) };
  }
}
