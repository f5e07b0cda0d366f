// Numbers, sizes, times and shapes as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes, "1.5 MiB". */
export function bytes(count) {
  let unit = 0;
  while (count >= 1024 && unit < UNITS.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${unit && count < 100 ? count.toFixed(1) : Math.round(count)} ${UNITS[unit]}`;
}

/** A duration in seconds, "0.42 s", "3 min 20 s". */
export function seconds(value) {
  if (value < 0.01) return "under 10 ms";
  if (value < 10) return `${value.toPrecision(2)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  const minutes = Math.round(value / 60);
  if (minutes < 90) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A value of a matrix: six figures, exponents where they help. */
export function value(number) {
  if (number === null || number === undefined) return "–";
  if (!Number.isFinite(number)) return String(number);
  if (number === 0) return "0";
  const size = Math.abs(number);
  return size >= 1e5 || size < 1e-3 ? Number(number.toPrecision(6)).toExponential().replace("+", "") : String(Number(number.toPrecision(6)));
}

/** A shape, "48 × 16 × 8". */
export function shape(sizes) {
  return sizes.length ? sizes.join(" × ") : "one number";
}

/** What stands between two layers: positions and channels, of which there are infinitely many. */
export function signal({ positions, channels }) {
  return [...positions, channels ?? "∞"].join(" × ");
}

/** A whole number with thin spaces. */
export function count(number) {
  return number.toLocaleString("en").replaceAll(",", "\u202f");
}

/** A moment, in the reader's own time zone. */
export function moment(text) {
  return new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** "1 tile", "2 tiles". */
export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}
