// Sample data, made here, so that a kernel or a prediction has something to show.

import { writeNpy } from "../calls/npy.js";

const FAMILIES = 4;

/** Uniform numbers in [0, 1) from a seed (mulberry32). */
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function normal(draw) {
  return Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

/**
 * {x1, mask1} as .npy files of float32 and bool: `rows` inputs of `shape`, each a family's own waves
 * and some noise, family after family; with `masked`, sequences of different lengths.
 */
export function families(shape, rows, masked, seed = 7) {
  const draw = uniform(seed);
  const channels = shape.at(-1);
  const phases = Array.from({ length: FAMILIES * channels }, () => 2 * Math.PI * draw());
  return filled("1", shape, rows, masked, draw, (row) => {
    const family = Math.floor((row * FAMILIES) / rows);
    const shift = 0.6 * normal(draw);
    return (phase, channel) =>
      Math.cos((family + 1) * phase + shift + phases[family * channels + channel]) + 0.35 * normal(draw);
  });
}

/**
 * {x_train, y_train, x_test, ...}: inputs on a curve, some noise, and targets that depend on the
 * place u on it. Test inputs go along the curve, from before the first training input to behind the
 * last, where nobody can know.
 */
export function curve(shape, rows, masked, seed = 11) {
  const draw = uniform(seed);
  const channels = shape.at(-1);
  const bends = Array.from({ length: channels }, () => [0.4 + 0.9 * draw(), 2 * Math.PI * draw()]);
  const tests = Math.max(2, Math.round(rows / 2));
  const at = (u) => (phase, channel) => {
    const [speed, begin] = bends[channel];
    return Math.cos(speed * u + begin) + 0.25 * Math.cos(phase * (1 + (channel % 3))) + 0.05 * normal(draw);
  };
  const places = Float64Array.from({ length: rows }, () => 4 * draw() - 2);
  const targets = Float32Array.from(places, (u) => Math.sin(2 * u) + 0.4 * u + 0.05 * normal(draw));
  const files = {
    ...filled("_train", shape, rows, masked, draw, (row) => at(places[row])),
    ...filled("_test", shape, tests, masked, draw, (row) => at(-3 + (6 * row) / (tests - 1))),
  };
  return { ...files, y_train: writeNpy("sample-y_train.npy", [rows], "<f4", targets) };
}

/** {x`suffix`, mask`suffix`}; entry(row) answers the function of phase, in [0, 2 pi), and channel. */
function filled(suffix, shape, rows, masked, draw, entry) {
  const size = shape.reduce((product, each) => product * each, 1);
  const channels = shape.at(-1);
  const steps = size / channels;
  const values = new Float32Array(rows * size);
  const real = new Uint8Array(rows * steps).fill(1);
  for (let row = 0; row < rows; row += 1) {
    const of = entry(row);
    const length = masked ? Math.ceil(steps * (0.5 + 0.5 * draw())) : steps;
    real.fill(0, row * steps + length, (row + 1) * steps);
    for (let step = 0; step < length; step += 1) {
      for (let channel = 0; channel < channels; channel += 1) {
        values[row * size + step * channels + channel] = of((2 * Math.PI * step) / steps, channel);
      }
    }
  }
  const name = (kind) => `sample-${kind}${suffix}.npy`;
  const files = { [`x${suffix}`]: writeNpy(name("x"), [rows, ...shape], "<f4", values) };
  if (!masked) return files;
  return { ...files, [`mask${suffix}`]: writeNpy(name("mask"), [rows, ...shape.slice(0, -1)], "|b1", real) };
}
