// .npy files (NEP 1): what their header says, and small ones made here.

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const LONGEST_HEADER = 65_536;
const KINDS = { f: "float", i: "int", u: "uint" };

/** A file that is no .npy, or none that the service takes. */
export class NpyMistake extends Error {}

/** {shape, dtype, descr, fortran, start, bytes} of a .npy file; only its header is read. */
export async function readHeader(file) {
  const head = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  if (head.length < 10 || MAGIC.some((byte, index) => head[index] !== byte)) {
    throw new NpyMistake("this is no .npy file; numpy.save makes one (an .npz holds several)");
  }
  const [major] = head.slice(6);
  if (major !== 1 && major !== 2) {
    throw new NpyMistake(`.npy version ${major}; the service reads versions 1 and 2`);
  }
  const view = new DataView(head.buffer);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const begin = major === 1 ? 10 : 12;
  if (length > LONGEST_HEADER) throw new NpyMistake(`a header of ${length} bytes`);
  const text = new TextDecoder("latin1").decode(
    await file.slice(begin, begin + length).arrayBuffer(),
  );
  return { ...described(text), start: begin + length, bytes: checked(file, text, begin + length) };
}

function described(text) {
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const sizes = /'shape'\s*:\s*\(([\d,\sL]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || sizes === undefined) {
    throw new NpyMistake("its header is not that of a plain array (records are not read)");
  }
  const shape = sizes.split(",").map((size) => size.trim().replace("L", "")).filter(Boolean);
  return { shape: shape.map(Number), dtype: named(descr), descr, fortran: order === "True" };
}

function named(descr) {
  const [, kind, size] = /^[<>|=]?([a-zA-Z])(\d*)$/.exec(descr) ?? [];
  if (kind === "b" || kind === "?") return "bool";
  if (kind === "O") throw new NpyMistake("it holds Python objects, which are never read");
  if (!(kind in KINDS)) throw new NpyMistake(`its dtype ${descr} is not bool, integer or floating`);
  return `${KINDS[kind]}${8 * Number(size)}`;
}

/** The bytes of the array; throws where the file has fewer or more. */
function checked(file, text, start) {
  const { shape, descr } = described(text);
  const size = Number(/(\d+)$/.exec(descr)?.[1] ?? 1);
  const promised = shape.reduce((product, each) => product * each, size);
  const found = file.size - start;
  if (found !== promised) {
    throw new NpyMistake(`its header promises ${promised} bytes of data, the file has ${found}`);
  }
  return found;
}

/** A .npy file of version 1.0: a typed array in C order. descr: "<f4", "|b1". */
export function writeNpy(name, shape, descr, values) {
  return new File([head(shape, descr), values], name, { type: "application/x-npy" });
}

/** Rows [from, from + count) of a file in C order, without a header; nothing is read yet. */
export function dataOf({ file, header }, from, count) {
  const { shape, start, bytes } = header;
  const size = bytes / shape[0];
  return file.slice(start + from * size, start + (from + count) * size);
}

/** The same as a .npy of their own. */
export function rowsOf(source, from, count) {
  const { shape, descr } = source.header;
  return new Blob([head([count, ...shape.slice(1)], descr), dataOf(source, from, count)]);
}

function head(shape, descr) {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const padded = text.padEnd(64 * Math.ceil((10 + text.length + 1) / 64) - 11, " ") + "\n";
  const begin = new Uint8Array(10);
  begin.set(MAGIC);
  begin[6] = 1;
  new DataView(begin.buffer).setUint16(8, padded.length, true);
  return new Blob([begin, padded]);
}
