// Lines over an index, on a plain or a logarithmic scale.

import { s } from "./dom.js";
import { value } from "./words.js";

const SIZE = { width: 460, height: 300 };
const EDGE = { left: 62, right: 14, top: 14, bottom: 40 };

/**
 * series: [{name, values}], drawn in the colours of .series-0, .series-1; numbers that are not
 * positive are left out of a logarithmic chart. level: {value, label}, a dashed line.
 */
export function chart({ series, log, across, label, level }) {
  const points = series.flatMap(({ values }) => Array.from(values)).filter((y) => Number.isFinite(y) && (!log || y > 0));
  const longest = Math.max(2, ...series.map(({ values }) => values.length));
  const [low, high] = bounds(points, log);
  const map = log ? Math.log10 : (y) => y;
  const x = (index) => EDGE.left + (index / (longest - 1)) * (SIZE.width - EDGE.left - EDGE.right);
  const share = (y) => (map(y) - map(low)) / (map(high) - map(low) || 1);
  const y = (number) => SIZE.height - EDGE.bottom - share(number) * (SIZE.height - EDGE.top - EDGE.bottom);
  const drawing = s("svg", {
    class: "chart", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": label,
  });
  for (const tick of ticks(low, high, log)) {
    drawing.append(
      s("line", { class: "grid", x1: EDGE.left, x2: SIZE.width - EDGE.right, y1: y(tick), y2: y(tick) }),
      s("text", { class: "tick", x: EDGE.left - 8, y: y(tick) + 4, "text-anchor": "end" }, log ? power(tick) : value(tick)));
  }
  for (const tick of [...new Set([0, Math.round((longest - 1) / 2), longest - 1])]) {
    drawing.append(s("text", { class: "tick", x: x(tick), y: SIZE.height - EDGE.bottom + 18, "text-anchor": "middle" }, String(tick + 1)));
  }
  drawing.append(s("text", {
    class: "tick", x: (EDGE.left + SIZE.width - EDGE.right) / 2, y: SIZE.height - 6, "text-anchor": "middle",
  }, across));
  if (level && level.value > low && level.value < high) {
    drawing.append(
      s("line", { class: "level", x1: EDGE.left, x2: SIZE.width - EDGE.right, y1: y(level.value), y2: y(level.value) }),
      s("text", { class: "tick", x: EDGE.left + 6, y: y(level.value) - 5 }, level.label));
  }
  series.forEach(({ values }, index) => {
    const drawn = Array.from(values, (number, at) => [at, number])
      .filter(([, number]) => Number.isFinite(number) && (!log || number > 0));
    const path = drawn.map(([at, number], first) => `${first ? "L" : "M"}${x(at).toFixed(1)} ${y(number).toFixed(1)}`);
    drawing.append(s("path", { class: `line series-${index}`, d: path.join("") }));
    if (drawn.length <= 100) {
      drawing.append(...drawn.map(([at, number]) =>
        s("circle", { class: `dot series-${index}`, cx: x(at).toFixed(1), cy: y(number).toFixed(1), r: 2.2 })));
    }
  });
  return drawing;
}

function bounds(points, log) {
  if (!points.length) return log ? [0.1, 1] : [0, 1];
  const low = points.reduce((a, b) => Math.min(a, b));
  const high = points.reduce((a, b) => Math.max(a, b));
  if (log) {
    const bottom = Math.floor(Math.log10(low));
    return [10 ** bottom, 10 ** Math.max(bottom + 1, Math.ceil(Math.log10(high)))];
  }
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - room, high + room];
}

function ticks(low, high, log) {
  if (!log) return [0, 1, 2, 3, 4].map((part) => low + (part / 4) * (high - low));
  const [first, last] = [Math.round(Math.log10(low)), Math.round(Math.log10(high))];
  const step = Math.max(1, Math.ceil((last - first) / 6));
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) => 10 ** (first + index * step));
}

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function power(tick) {
  const exponent = Math.round(Math.log10(tick));
  return `10${exponent < 0 ? "⁻" : ""}${[...String(Math.abs(exponent))].map((digit) => RAISED[digit]).join("")}`;
}
