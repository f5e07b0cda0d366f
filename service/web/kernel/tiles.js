// The part of a matrix that is looked at, fetched in squares and kept while there is room.

import { ApiProblem, call } from "../calls/api.js";

const SIDE = 256;
const AT_ONCE = 4;
const KEPT = 96;
const SAMPLES = 2048;
const LATER = 2; // seconds, where the service does not say when to ask again

export class Tiles {
  /** onArrival() whenever a square has come, or turned out not to be there yet. */
  constructor(job, output, onArrival) {
    [this.rows, this.cols] = job.shape;
    this.path = job.links[output];
    this.wide = job.dtype === "float64";
    this.onArrival = onArrival;
    this.held = new Map();
    this.queue = [];
    this.running = new Map();
    this.timers = new Set();
    this.requests = 0;
  }

  /** The squares that cover rows [top, bottom) and columns [left, right), fetching what is missing. */
  covering({ top, bottom, left, right }) {
    const wanted = [];
    for (let row = Math.floor(top / SIDE); row * SIDE < bottom; row += 1) {
      for (let col = Math.floor(left / SIDE); col * SIDE < right; col += 1) {
        wanted.push(this.#hold(row, col));
      }
    }
    const names = new Set(wanted.map((tile) => tile.name));
    // What has gone out of sight need not be fetched any more.
    for (const [name, request] of this.running) if (!names.has(name)) request.abort();
    this.queue = wanted.filter((tile) => tile.state === "missing");
    this.#evict(names);
    this.#fetch();
    return wanted;
  }

  /** The entry of a row and a column, undefined where it is not here. */
  at(row, col) {
    const tile = this.held.get(`${Math.floor(row / SIDE)},${Math.floor(col / SIDE)}`);
    return tile?.values?.[(row % SIDE) * tile.width + (col % SIDE)];
  }

  /** Rows that were not finished may be by now. */
  again() {
    for (const tile of this.held.values()) if (tile.state === "unfinished") tile.state = "missing";
  }

  /** Values of all squares here, a few of each. */
  samples() {
    return this.ready().flatMap((tile) => tile.samples);
  }

  ready() {
    return [...this.held.values()].filter((tile) => tile.state === "ready");
  }

  close() {
    this.closed = true;
    this.queue = [];
    for (const request of this.running.values()) request.abort();
    for (const timer of this.timers) clearTimeout(timer);
  }

  #hold(row, col) {
    const name = `${row},${col}`;
    const tile = this.held.get(name) ?? {
      name, row: row * SIDE, col: col * SIDE, state: "missing",
      height: Math.min(SIDE, this.rows - row * SIDE), width: Math.min(SIDE, this.cols - col * SIDE),
    };
    this.held.delete(name); // last in the map is last used
    this.held.set(name, tile);
    return tile;
  }

  #evict(wanted) {
    for (const name of this.held.keys()) {
      if (this.held.size <= KEPT) return;
      if (!wanted.has(name)) this.held.delete(name);
    }
  }

  #fetch() {
    while (this.running.size < AT_ONCE && this.queue.length) {
      const tile = this.queue.shift();
      if (tile.state === "missing" && !this.running.has(tile.name)) this.#get(tile);
    }
  }

  async #get(tile) {
    const request = new AbortController();
    this.running.set(tile.name, request);
    this.requests += 1;
    const rows = `${tile.row}:${tile.row + tile.height}`;
    const cols = `${tile.col}:${tile.col + tile.width}`;
    const dtype = this.wide ? "f8" : "f4";
    try {
      const response = await call(`${this.path}?rows=${rows}&cols=${cols}&dtype=${dtype}`, {
        headers: { Accept: "application/octet-stream" }, signal: request.signal,
      });
      const content = await response.arrayBuffer();
      tile.values = this.wide ? new Float64Array(content) : new Float32Array(content);
      tile.samples = spread(tile.values);
      tile.state = "ready";
    } catch (error) {
      if (request.signal.aborted) tile.state = "missing";
      else if (error.status === 409 && !error.retryAfter) tile.state = "unfinished"; // and ended: for good
      // Without a problem there was no answer, or half of one.
      else if (!(error instanceof ApiProblem) || [409, 429, 503].includes(error.status)) this.#later(tile, error);
      else Object.assign(tile, { state: "failed", error });
    }
    this.running.delete(tile.name);
    if (this.closed) return;
    this.onArrival(tile);
    this.#fetch();
  }

  /** A square that cannot be had now is missing again when the time to ask for it has come. */
  #later(tile, { retryAfter }) {
    tile.state = "unfinished";
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (tile.state === "unfinished") tile.state = "missing";
      this.onArrival(tile);
    }, 1000 * (retryAfter || LATER));
    this.timers.add(timer);
  }
}

function spread(values) {
  const step = Math.max(1, Math.floor(values.length / SAMPLES));
  // An odd step, so that it does not run down one column of a square.
  const odd = step > 1 ? step | 1 : 1;
  return Array.from({ length: Math.ceil(values.length / odd) }, (_, index) => values[index * odd]);
}
