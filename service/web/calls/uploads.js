// Arrays in parts: an open dataset is filled, part by part, and sealed. A part that is lost is sent
// again; an upload that was broken off goes on where it was, in this tab, even after a reload. Parts
// that are there by then are compared by their digests, and sent again where they differ.

import { Unreached, call, pause, read, requestName } from "./api.js";
import { rowsOf } from "./npy.js";
import { bytesOf, digestOf, span } from "./parts.js";
import { sha256 } from "./sha256.js";

// Arrays of more bytes than this travel in parts.
export const WHOLE = 8 << 20;
const PART = 4 << 20;
const ATTEMPTS = 5;
const PATH = "/v1/datasets";
const SINGLE = /^(bool|u?int(8|16)|float(16|32))$/; // dtypes that float32 holds without loss

/**
 * Whether `x` with its `mask`, if it has one, can be sent in parts: the rows of both have to stand one
 * behind the other, and those of the mask have to be x's. What does not fit is sent in one piece, for
 * the service to read or to refuse: of a part alone it could not tell.
 */
export function divisible({ x, mask }) {
  const { shape, fortran } = x.header;
  if (shape.length < 2 || fortran) return false;
  return !mask || covers(mask.header, shape.slice(0, -1));
}

function covers({ shape, descr, fortran }, positions) {
  return descr === "|b1" && !fortran && String(shape) === String(positions);
}

/**
 * The id of the sealed dataset of `x` with its `mask`, both {file, header}, mask perhaps undefined.
 * Tells onProgress(parts there, parts in all); throws when `signal` is aborted or a part is lost
 * ATTEMPTS times.
 */
export async function store({ x, mask }, onProgress, signal) {
  const name = `gramd.upload.${[x, mask].map(identity).join("+")}`;
  const known = (await remembered(name, signal)) ?? (await begin({ x, mask }, signal));
  sessionStorage.setItem(name, known.id);
  if (known.state === "sealed") return known.id;
  const there = new Map(known.received.map((part, index) => [part, known.digests[index]]));
  for (let part = 0; part < known.parts; part += 1) {
    onProgress(part, known.parts);
    const same = there.has(part) && there.get(part) === (await digestOf({ x, mask }, known, part));
    signal.throwIfAborted();
    if (!same) await send({ x, mask }, known, part, signal);
  }
  onProgress(known.parts, known.parts);
  const sealed = await read(known.links.self, { method: "PATCH", json: { state: "sealed" }, signal });
  return sealed.id;
}

/** What tells one file from another without reading it. */
function identity(source) {
  if (!source) return "";
  const { name, size, lastModified } = source.file;
  return [name, size, lastModified].join("|");
}

async function remembered(name, signal) {
  const id = sessionStorage.getItem(name);
  if (!id) return null;
  try {
    return await read(`${PATH}/${id}`, { signal });
  } catch (error) {
    if (error.status !== 404 && error.status !== 410) throw error;
    sessionStorage.removeItem(name); // it has expired, or belongs to another key
    return null;
  }
}

function begin({ x, mask }, signal) {
  const { shape, bytes, dtype } = x.header;
  const plan = {
    shape,
    dtype: SINGLE.test(dtype) ? "float32" : "float64",
    masked: Boolean(mask),
    part_rows: Math.max(1, Math.floor(PART / (bytes / shape[0]))),
  };
  const headers = { "Idempotency-Key": requestName() };
  return read(PATH, { method: "POST", json: plan, headers, signal });
}

async function send(source, known, part, signal) {
  const { body, kind } = await content(source, known, part);
  const digest = btoa(String.fromCharCode(...(await sha256(body))));
  const headers = { "Content-Type": kind, "Content-Digest": `sha-256=:${digest}:` };
  for (let attempt = 1; ; attempt += 1) {
    try {
      await call(`${known.links.parts}/${part}`, { method: "PUT", body, headers, signal });
      return;
    } catch (error) {
      const later = error instanceof Unreached || error.status === 429 || error.status === 503;
      if (!later || attempt === ATTEMPTS) throw error;
      await pause(1000 * (error.retryAfter || 2 ** (attempt - 1)), signal);
    }
  }
}

/** The bytes of one part. With a mask they are a form, written here: its digest is of these bytes. */
async function content({ x, mask }, known, part) {
  const { from, count } = span(known, part);
  const rows = rowsOf(x, from, count);
  if (!mask) return { body: await bytesOf(rows), kind: "application/x-npy" };
  const boundary = requestName();
  const field = (name) =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="${name}.npy"\r\n`
    + "Content-Type: application/x-npy\r\n\r\n";
  const form = new Blob([
    field("x"), rows, "\r\n", field("mask"), rowsOf(mask, from, count), `\r\n--${boundary}--\r\n`,
  ]);
  return { body: await bytesOf(form), kind: `multipart/form-data; boundary=${boundary}` };
}
