// Lines over an index, on a plain or a logarithmic scale, drawn as wide as there is room.

import { h, s } from "./dom.js";
import { value } from "./words.js";

const HEIGHT = 300;
const EDGE = { left: 62, right: 14, top: 14, bottom: 40 };
const DOTS = 100;
const TICK_GAP = 100; // pixels between the ticks of the index, about, where it has more than a few
const LEAST_GAPS = 5; // so that two at least are at round numbers
const TICKS = 5;

/**
 * series: [{name, values}], drawn in the colours of .series-0, .series-1; numbers that are not
 * positive are left out of a logarithmic chart. band: {low, high} around the first of them. level:
 * {value, label}, a dashed line. first: the number of the first entry.
 */
export function chart(options) {
  const element = h("div", { class: "chart" });
  new ResizeObserver(() => element.clientWidth && element.replaceChildren(drawn(options, element.clientWidth)))
    .observe(element);
  return element;
}

function drawn({ series, band, log, across, label, level, first = 1 }, width) {
  const bounded = [...series.map(({ values }) => values), ...(band ? [band.low, band.high] : [])];
  const points = bounded.flatMap((values) => Array.from(values)).filter((y) => Number.isFinite(y) && (!log || y > 0));
  const longest = Math.max(2, ...series.map(({ values }) => values.length));
  const { low, high, ticks } = log ? decades(points) : rounds(points);
  const map = log ? Math.log10 : (y) => y;
  const [right, bottom] = [width - EDGE.right, HEIGHT - EDGE.bottom];
  const x = (index) => (EDGE.left + (index / (longest - 1)) * (right - EDGE.left)).toFixed(1);
  const y = (number) =>
    (bottom - ((map(number) - map(low)) / (map(high) - map(low))) * (bottom - EDGE.top)).toFixed(1);
  const path = (places) => places.map(([at, number], place) => `${place ? "L" : "M"}${x(at)} ${y(number)}`).join("");
  const drawing = s("svg", { width, height: HEIGHT, role: "img", "aria-label": label });
  for (const tick of ticks) {
    drawing.append(
      s("line", { class: "grid", x1: EDGE.left, x2: right, y1: y(tick), y2: y(tick) }),
      s("text", { class: "tick", x: EDGE.left - 8, y: Number(y(tick)) + 4, "text-anchor": "end" }, log ? power(tick) : value(tick)));
  }
  const gaps = Math.max(LEAST_GAPS, Math.round((right - EDGE.left) / TICK_GAP));
  for (const mark of marks(first, first + longest - 1, gaps)) {
    drawing.append(s("text", { class: "tick", x: x(mark - first), y: bottom + 18, "text-anchor": "middle" }, String(mark)));
  }
  drawing.append(s("text", { class: "tick", x: (EDGE.left + right) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, across));
  if (level && level.value > low && level.value < high) {
    drawing.append(
      s("line", { class: "level", x1: EDGE.left, x2: right, y1: y(level.value), y2: y(level.value) }),
      s("text", { class: "tick", x: EDGE.left + 6, y: y(level.value) - 5 }, level.label));
  }
  if (band) {
    const [top, under] = [Array.from(band.high.entries()), Array.from(band.low.entries()).reverse()];
    drawing.append(s("path", { class: "band", d: `${path([...top, ...under])}Z` }));
  }
  series.forEach(({ values }, index) => {
    const places = Array.from(values, (number, at) => [at, number])
      .filter(([, number]) => Number.isFinite(number) && (!log || number > 0));
    drawing.append(s("path", { class: `line series-${index}`, d: path(places) }));
    if (places.length > DOTS) return;
    drawing.append(...places.map(([at, number]) =>
      s("circle", { class: `dot series-${index}`, cx: x(at), cy: y(number), r: 2.2 })));
  });
  return drawing;
}

/** Whole decades around positive numbers. */
function decades(points) {
  const first = points.length ? Math.floor(Math.log10(smallest(points))) : -1;
  const last = points.length ? Math.max(first + 1, Math.ceil(Math.log10(largest(points)))) : 0;
  const step = Math.max(1, Math.ceil((last - first) / 6));
  const ticks = Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) => 10 ** (first + index * step));
  return { low: 10 ** first, high: 10 ** last, ticks };
}

/** The whole numbers from `low` to `high` at which an index is marked: multiples of a round step, `most` gaps at most. */
export function marks(low, high, most) {
  const step = Math.max(1, roundStep(high - low || 1, most));
  const from = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - from + 1 }, (_, index) => (from + index) * step);
}

/** The smallest of 1, 2 and 5 times a power of ten that goes into `size` at most `most` times. */
function roundStep(size, most) {
  const unit = 10 ** Math.floor(Math.log10(size / most));
  return [1, 2, 5, 10].map((times) => times * unit).find((each) => size / each <= most);
}

/** Bounds around numbers at multiples of a round step. */
function rounds(points) {
  const [low, high] = points.length ? [smallest(points), largest(points)] : [0, 1];
  const step = roundStep(high - low || Math.abs(high) || 1, TICKS);
  const [from, to] = [Math.floor(low / step), Math.max(Math.floor(low / step) + 1, Math.ceil(high / step))];
  const ticks = Array.from({ length: to - from + 1 }, (_, index) => Number(((from + index) * step).toPrecision(12)));
  return { low: ticks[0], high: ticks.at(-1), ticks };
}

// Not Math.min(...points), which has an argument for each.
function smallest(points) {
  return points.reduce((a, b) => Math.min(a, b));
}

function largest(points) {
  return points.reduce((a, b) => Math.max(a, b));
}

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function power(tick) {
  const exponent = Math.round(Math.log10(tick));
  return `10${exponent < 0 ? "⁻" : ""}${[...String(Math.abs(exponent))].map((digit) => RAISED[digit]).join("")}`;
}
