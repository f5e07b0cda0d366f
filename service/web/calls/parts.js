// Parts of an array that is uploaded: their rows, and the digest by which the service tells what is in
// those that it has.

import { dataOf } from "./npy.js";
import { sha256 } from "./sha256.js";

// How a DataView reads an element of a .npy, by its kind and size. Some browsers have no getFloat16.
const READERS = {
  b1: "getUint8", u1: "getUint8", u2: "getUint16", u4: "getUint32", u8: "getBigUint64",
  i1: "getInt8", i2: "getInt16", i4: "getInt32", i8: "getBigInt64",
  f2: "getFloat16", f4: "getFloat32", f8: "getFloat64",
};

/** {from, count}, the rows of one part of an open dataset. */
export function span(dataset, part) {
  const from = part * dataset.part_rows;
  return { from, count: Math.min(dataset.part_rows, dataset.shape[0] - from) };
}

/**
 * The digest of a part that has these rows, in hex: of its values in the dataset's dtype, zero where
 * masked, and of the bits of its mask unless that hides nothing. Null where this browser cannot tell.
 */
export async function digestOf({ x, mask }, dataset, part) {
  const { from, count } = span(dataset, part);
  const values = converted(dataset.dtype, x.header.descr, await bytesOf(dataOf(x, from, count)));
  if (!values) return null;
  const real = mask && (await bytesOf(dataOf(mask, from, count)));
  const hides = Boolean(real?.includes(0));
  if (hides) blank(values, real);
  const digest = await sha256(hides ? joined(values, packed(real)) : values);
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function bytesOf(blob) {
  return new Uint8Array(await blob.arrayBuffer());
}

/** Elements of one dtype in another, "<f4" or "<f8". */
function converted(dtype, descr, bytes) {
  if (dtype === descr) return bytes;
  const [reader, size] = [READERS[descr.slice(1)], Number(descr.slice(2))];
  const [writer, width] = dtype === "<f4" ? ["setFloat32", 4] : ["setFloat64", 8];
  const from = new DataView(bytes.buffer);
  if (!(reader in from)) return null;
  const to = new DataView(new ArrayBuffer((bytes.length / size) * width));
  const little = !descr.startsWith(">");
  for (let at = 0, place = 0; at < bytes.length; at += size, place += width) {
    to[writer](place, Number(from[reader](at, little)), true);
  }
  return new Uint8Array(to.buffer);
}

/** Zeroes at the positions that are not real. */
function blank(values, real) {
  const size = values.length / real.length;
  real.forEach((here, position) => {
    if (!here) values.fill(0, position * size, (position + 1) * size);
  });
}

/** Eight positions a byte, the first one highest. */
function packed(real) {
  const bits = new Uint8Array(Math.ceil(real.length / 8));
  real.forEach((here, position) => {
    if (here) bits[position >> 3] |= 128 >> (position & 7);
  });
  return bits;
}

function joined(...pieces) {
  const whole = new Uint8Array(pieces.reduce((total, piece) => total + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
