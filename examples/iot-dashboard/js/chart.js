// @ts-check
/** A chart of the last minutes, drawn by uPlot; gaps in the connection are shaded. */

import untyped from '../uplot/uPlot.esm.js';
import { atClock, figure } from './reading.js';

/** @import { Series } from './series.js' */

/** It comes without types. @type {any} */
const uPlot = untyped;

/** How much time a chart shows, in seconds: at first, and when there is enough to show. */
const SHORT = 60;
const SPAN = 300;
/** Half the width of a letter of the axes, in pixels. */
const HALF_LETTER = 3.2;

const dark = window.matchMedia('(prefers-color-scheme: dark)');
/** @type {Map<string, string>} */
const colours = new Map();
/** @type {Set<Chart>} */
const charts = new Set();
dark.addEventListener('change', () => {
  colours.clear();
  charts.forEach((chart) => chart.redraw());
});

/** A colour of the style sheet, as #rrggbb. @param {string} name */
function colour(name) {
  let known = colours.get(name);
  if (known === undefined) {
    known = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    colours.set(name, known);
  }
  return known;
}

export class Chart {
  /** @type {number | null} */
  #drawn = null;

  /**
   * @param {HTMLElement} place
   * @param {Series} series
   * @param {string} hue The name of a colour.
   * @param {(text: string) => void} point Told what the pointer is at; nothing when it leaves.
   */
  constructor(place, series, hue, point) {
    this.place = place;
    this.series = series;
    const axis = {
      stroke: () => colour('--muted'),
      grid: { stroke: () => colour('--line'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif',
    };
    this.plot = new uPlot({
      width: 300,
      height: 120,
      padding: [8, 6, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: {
        x: { range: () => this.#span() },
        y: { range: (/** @type {unknown} */ _, /** @type {number} */ least, /** @type {number} */ greatest) => around(least, greatest) },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 22,
          gap: 4,
          space: 70,
          values: (/** @type {any} */ plot, /** @type {number[]} */ splits) => splits.map((at) => {
            // The last one would be cut off at the edge.
            const text = at % 60 === 0 ? atClock(at * 1000).slice(0, 5) : atClock(at * 1000);
            return plot.valToPos(at, 'x') > plot.over.clientWidth - text.length * HALF_LETTER ? '' : text;
          }),
          incrs: [15, 30, 60, 120],
        },
        { ...axis, size: 44, gap: 6, space: 22, values: (/** @type {unknown} */ _, /** @type {number[]} */ splits) => splits.map(figure) },
      ],
      series: [
        {},
        {
          stroke: () => colour(hue),
          width: 2,
          fill: (/** @type {any} */ plot) => fade(plot, colour(hue)),
          points: { show: (/** @type {any} */ plot) => plot.data[0].length < 3, size: 6 },
        },
      ],
      hooks: {
        drawClear: [(/** @type {any} */ plot) => this.#gaps(plot)],
        setCursor: [(/** @type {any} */ plot) => {
          const { idx } = plot.cursor;
          const [times, values] = plot.data;
          point(typeof values[idx] !== 'number'
            ? '' : `${figure(values[idx])} at ${atClock(times[idx] * 1000)}`);
        }],
      },
    }, [[], []], place);
    this.resizing = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry?.contentRect.width ?? 0);
      if (width > 0 && width !== this.plot.width) {
        this.plot.setSize({ width, height: 120 });
      }
    });
    this.resizing.observe(place);
    charts.add(this);
    this.update();
  }

  /** Draws what is new, and where the time has come to. */
  update() {
    const now = Math.floor(Date.now() / 500);
    if (this.#drawn !== now && !document.hidden) {
      this.#drawn = now;
      // What lies before what is shown costs, and is not seen.
      const [since] = this.#span();
      this.plot.setData(this.series.line(since));
    }
  }

  /** From when until when, in seconds since 1970. @returns {[number, number]} */
  #span() {
    const now = Date.now() / 1000;
    const first = this.series.times[0] ?? now;
    return [Math.max(now - SPAN, Math.min(first, now - SHORT)), now];
  }

  redraw() {
    this.plot.redraw(false, true);
  }

  destroy() {
    charts.delete(this);
    this.resizing.disconnect();
    this.plot.destroy();
  }

  /** @param {any} plot */
  #gaps(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { from, to } of this.series.gaps) {
      const left = Math.max(bbox.left, plot.valToPos(from / 1000, 'x', true));
      const right = plot.valToPos((to ?? Date.now()) / 1000, 'x', true);
      if (right > left) {
        ctx.fillStyle = colour('--gap');
        ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
      }
    }
    ctx.restore();
  }
}

/**
 * A little room above and below, and some even where the value never changes.
 * @param {number} least
 * @param {number} greatest
 * @returns {[number, number]}
 */
function around(least, greatest) {
  if (!Number.isFinite(least) || !Number.isFinite(greatest)) {
    return [0, 1];
  }
  const room = (greatest - least) * 0.15 || Math.abs(greatest) * 0.05 || 1;
  return [least - room, greatest + room];
}

/** @param {any} plot @param {string} hue */
function fade(plot, hue) {
  const { top, height } = plot.bbox;
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, `${hue}40`);
  gradient.addColorStop(1, `${hue}05`);
  return gradient;
}
