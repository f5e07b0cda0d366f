// Sample data, made here: four families of inputs, so that a kernel has something to show.

import { writeNpy } from "../calls/npy.js";

const FAMILIES = 4;

/** Uniform numbers in [0, 1) from a seed (mulberry32). */
export function uniform(seed) {
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
 * {x1, mask1} as .npy files of float32 and bool: `rows` inputs of `shape`, each a family's own
 * waves and some noise, family after family; with `masked`, sequences of different lengths.
 */
export function sample(shape, rows, masked, seed = 7) {
  const draw = uniform(seed);
  const size = shape.reduce((product, each) => product * each, 1);
  const channels = shape.at(-1);
  const steps = size / channels;
  const values = new Float32Array(rows * size);
  const real = new Uint8Array(rows * steps).fill(1);
  const phases = Array.from({ length: FAMILIES * channels }, () => 2 * Math.PI * draw());
  for (let row = 0; row < rows; row += 1) {
    const family = Math.floor((row * FAMILIES) / rows);
    const shift = 0.6 * normal(draw);
    const length = masked ? Math.ceil(steps * (0.5 + 0.5 * draw())) : steps;
    for (let step = 0; step < steps; step += 1) {
      if (step >= length) real[row * steps + step] = 0;
      for (let channel = 0; channel < channels; channel += 1) {
        const angle = (2 * Math.PI * (family + 1) * step) / steps + shift;
        const wave = Math.cos(angle + phases[family * channels + channel]);
        const place = row * size + step * channels + channel;
        values[place] = step < length ? wave + 0.35 * normal(draw) : 0;
      }
    }
  }
  const x1 = writeNpy("sample-x1.npy", [rows, ...shape], "<f4", values);
  if (!masked) return { x1 };
  return { x1, mask1: writeNpy("sample-mask1.npy", [rows, ...shape.slice(0, -1)], "|b1", real) };
}
