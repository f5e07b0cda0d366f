// The layers of a network as a drawing, input at the top, with the shape of what flows between.
// Laid out from the inside out: a figure has a size and can be drawn at a place.

import { s } from "../elements/dom.js";
import { signal } from "../elements/words.js";

const BOX = { width: 168, height: 44 };
const GAP = 30;
const PAD = 14;
const KINDS = {
  linear: ["dense", "conv"],
  attention: ["attention"],
  pooling: ["avg_pool", "sum_pool", "global_avg_pool", "global_sum_pool", "flatten"],
  normalisation: ["layer_norm", "dropout"],
};
const MERGES = { sum: "+", product: "×", concat: "concat" };

/** The SVG of a document's layers; `steps` has signals by pointer, `onPick` gets a pointer. */
export function diagram(document, { input, steps, wrong, onPick }) {
  const signals = new Map((steps ?? []).map((step) => [step.pointer, step]));
  const figure = chain(document?.layers, "/layers", { signals, wrong, onPick });
  const width = figure.width + 2 * PAD;
  const height = figure.height + 2 * GAP + PAD;
  const middle = width / 2;
  const drawing = s("svg", {
    class: "diagram", viewBox: `0 0 ${width} ${height}`, width, height,
    role: "group", "aria-label": "the layers, from input to output",
  });
  drawing.append(
    s("text", { x: middle, y: 14, class: "end" }, input ? `x  ${signal(input)}` : "x"),
    line(middle, 20, GAP + 4),
    figure.draw(PAD, GAP + 4),
    line(middle, GAP + 4 + figure.height, height - 12),
    s("path", { class: "arrow", d: `M${middle - 4} ${height - 16}l4 7l4 -7` }),
  );
  return drawing;
}

function line(x, from, to) {
  return s("line", { class: "wire", x1: x, y1: from, x2: x, y2: to });
}

function chain(layers, pointer, context) {
  const list = Array.isArray(layers) ? layers : [];
  const figures = list.map((layer, index) => figureOf(layer, `${pointer}/${index}`, context));
  // A branch that hands its input on needs no more room than a line.
  const width = figures.length ? Math.max(BOX.width, ...figures.map((figure) => figure.width)) : 2 * PAD;
  const height = figures.length
    ? figures.reduce((sum, figure) => sum + figure.height + GAP, -GAP)
    : BOX.height;
  return {
    width,
    height,
    draw(x, y) {
      const middle = x + width / 2;
      const group = s("g");
      if (!figures.length) group.append(line(middle, y, y + height));
      figures.forEach((figure, index) => {
        group.append(figure.draw(middle - figure.width / 2, y));
        y += figure.height;
        if (index === figures.length - 1) return;
        group.append(line(middle, y, y + GAP));
        const between = context.signals.get(`${pointer}/${index}`);
        if (between) {
          group.append(s("text", { x: middle + 8, y: y + GAP / 2 + 4, class: "shape" }, signal(between)));
        }
        y += GAP;
      });
      return group;
    },
  };
}

function figureOf(layer, pointer, context) {
  if (Array.isArray(layer?.layers)) return repeated(layer, pointer, context);
  if (Array.isArray(layer?.branches)) return parallel(layer, pointer, context);
  return box(layer, pointer, context);
}

function box(layer, pointer, context) {
  return {
    ...BOX,
    draw(x, y) {
      const type = typeof layer?.type === "string" ? layer.type : "?";
      const kind = Object.keys(KINDS).find((name) => KINDS[name].includes(type)) ?? "activation";
      const wrong = context.wrong?.startsWith(pointer) && !/^\d/.test(context.wrong.slice(pointer.length));
      const after = context.signals.get(pointer);
      const details = parameters(layer);
      const pick = () => context.onPick(pointer);
      return s("g", {
        class: `layer ${kind}${wrong ? " wrong" : ""}`, transform: `translate(${x} ${y})`,
        tabindex: "0", role: "button",
        "aria-label": `${type}${details && ` ${details}`}${after ? `, then ${signal(after)}` : ""}: show it in the text`,
        onclick: pick,
        onkeydown: (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          pick();
        },
      },
      s("rect", { ...BOX, rx: 9 }),
      s("rect", { class: "stripe", x: 9, y: 11, width: 4, height: BOX.height - 22, rx: 2 }),
      s("text", { x: 23, y: details ? 19 : 27, class: "type" }, short(type, 20)),
      details ? [" ", s("text", { x: 23, y: 34, class: "details" }, short(details, 23))] : null);
    },
  };
}

function repeated(layer, pointer, context) {
  const inner = chain(layer.layers, `${pointer}/layers`, context);
  return framed(inner, `× ${layer.times ?? "?"}`);
}

function parallel(layer, pointer, context) {
  const branches = layer.branches.map((branch, index) =>
    chain(branch, `${pointer}/branches/${index}`, context));
  const width = branches.reduce((sum, branch) => sum + branch.width + PAD, -PAD);
  const tall = Math.max(BOX.height, ...branches.map((branch) => branch.height));
  const rail = 12;
  const height = tall + 2 * rail + 22;
  const inner = {
    width,
    height,
    draw(x, y) {
      const middle = x + width / 2;
      const group = s("g");
      const middles = [];
      branches.forEach((branch) => {
        middles.push(x + branch.width / 2);
        group.append(line(x + branch.width / 2, y, y + rail));
        group.append(branch.draw(x, y + rail));
        group.append(line(x + branch.width / 2, y + rail + branch.height, y + tall + 2 * rail));
        x += branch.width + PAD;
      });
      const [first, last] = [Math.min(middle, ...middles), Math.max(middle, ...middles)];
      for (const level of [y, y + tall + 2 * rail]) {
        group.append(s("line", { class: "wire", x1: first, x2: last, y1: level, y2: level }));
      }
      group.append(merge(middle, y + tall + 2 * rail + 11, MERGES[layer.merge ?? "sum"] ?? "?"));
      return group;
    },
  };
  return framed(inner, null);
}

function merge(x, y, sign) {
  const wide = sign.length > 1;
  return s("g", { class: "merge" },
    s("rect", { x: x - (wide ? 27 : 10), y: y - 10, width: wide ? 54 : 20, height: 20, rx: 10 }),
    s("text", { x, y: y + 4 }, sign));
}

function framed(inner, label) {
  const width = inner.width + 2 * PAD;
  const height = inner.height + 2 * PAD;
  return {
    width,
    height,
    draw(x, y) {
      return s("g", {},
        s("rect", { class: "frame", x, y, width, height, rx: 12 }),
        line(x + width / 2, y, y + PAD),
        inner.draw(x + PAD, y + PAD),
        line(x + width / 2, y + height - PAD, y + height),
        label ? s("text", { class: "times", x: x + width - 10, y: y + 16 }, label) : null);
    },
  };
}

function parameters(layer) {
  if (typeof layer !== "object" || layer === null) return "";
  return Object.entries(layer)
    .filter(([name]) => name !== "type")
    .map(([name, value]) => `${name === "mechanism" ? "" : `${name} `}${brief(value)}`)
    .join(", ");
}

function brief(value) {
  if (Array.isArray(value)) return value.map(brief).join("×");
  if (typeof value !== "object" || value === null) return String(value);
  return String(value.type ?? value.decay?.type ?? "…");
}

function short(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
