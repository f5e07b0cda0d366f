// From numbers to colours: viridis, which is even in lightness and safe for colour-blind eyes
// (matplotlib's, by van der Walt and Smith, CC0), at 17 places.

const STOPS = [
  "440154", "48186a", "472d7b", "424086", "3b528b", "33638d", "2c728e", "26828e", "21918c",
  "1fa088", "28ae80", "3fbc73", "5ec962", "84d44b", "addc30", "d8e219", "fde725",
].map((code) => [0, 2, 4].map((at) => Number.parseInt(code.slice(at, at + 2), 16)));
const STEPS = 256;

/** 256 colours as 32-bit pixels of ImageData, dark to light. */
export const COLOURS = Uint32Array.from({ length: STEPS }, (_, index) => {
  const at = (index / (STEPS - 1)) * (STOPS.length - 1);
  const low = Math.min(STOPS.length - 2, Math.floor(at));
  const [red, green, blue] = STOPS[low].map(
    (value, channel) => Math.round(value + (at - low) * (STOPS[low + 1][channel] - value)),
  );
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0; // ImageData is RGBA in memory
});
const NOTHING = 0;

/** Paints `values` into an ImageData of as many pixels; what is not finite stays transparent. */
export function paint(values, { low, high }, image) {
  const pixels = new Uint32Array(image.data.buffer);
  const scale = high > low ? STEPS / (high - low) : 0;
  for (let index = 0; index < values.length; index += 1) {
    const step = Math.floor((values[index] - low) * scale);
    pixels[index] = Number.isFinite(values[index])
      ? COLOURS[Math.min(STEPS - 1, Math.max(0, step))]
      : NOTHING;
  }
}

/** The range that the colours span: all of it, or its middle 98 % so that few cannot dull the rest. */
export function rangeOf(samples, whole) {
  const sorted = Float64Array.from(samples.filter(Number.isFinite)).sort();
  if (!sorted.length) return { low: 0, high: 1 };
  const cut = whole ? 0 : Math.floor(sorted.length * 0.01);
  return { low: sorted[cut], high: sorted[sorted.length - 1 - cut] };
}
