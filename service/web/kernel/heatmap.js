// A matrix as colours on a canvas: zoom, pan, and the value under the pointer or the cursor.

import { paint, rangeOf } from "./colours.js";
import { h } from "../elements/dom.js";
import { Tiles } from "./tiles.js";
import { value } from "../elements/words.js";
import { Viewport } from "./viewport.js";

const ZOOM = 1.5;
const KEYS = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
};

export class Heatmap {
  /** onChange(heatmap) after it was drawn: the range of its colours, or its view, may be new. */
  constructor(job, output, onChange) {
    this.onChange = onChange;
    this.wholeRange = false;
    [this.rows, this.cols] = job.shape;
    this.tiles = new Tiles(job, output, () => this.#soon());
    this.readout = h("output", { class: "readout", id: "entry" }, "\u00a0");
    this.canvas = h("canvas", {
      class: "heatmap", tabindex: "0", role: "application", "aria-describedby": "heatmap-keys entry",
      "aria-label": `${output}, ${this.rows} by ${this.cols}, as a heatmap`,
      onpointermove: (event) => this.#moved(event), onpointerdown: (event) => this.#grabbed(event),
      onpointerup: () => this.#released(), onpointercancel: () => this.#released(),
      onpointerleave: () => this.#point(null), onkeydown: (event) => this.#pressed(event),
      ondblclick: (event) => this.zoom(ZOOM * ZOOM, event.offsetX, event.offsetY),
    });
    this.canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.view = new Viewport(this.rows, this.cols, 400, 400);
    this.sizes = new ResizeObserver(() => this.#resize());
    this.sizes.observe(this.canvas);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.#soon();
    this.scheme.addEventListener("change", this.redraw);
  }

  close() {
    this.tiles.close();
    this.sizes.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
    cancelAnimationFrame(this.frame);
  }

  /** Rows that were missing may be there by now. */
  again() {
    this.tiles.again();
    this.#soon();
  }

  spanColours(whole) {
    this.wholeRange = whole;
    this.#soon();
  }

  zoom(factor, x, y) {
    this.view.zoom(factor, x, y);
    this.#soon();
  }

  whole() {
    this.view.whole();
    this.#soon();
  }

  goTo(row, col) {
    this.view.centre(row, col);
    this.#soon();
  }

  #resize() {
    const { clientWidth: width } = this.canvas;
    if (!width) return;
    const height = Math.round(width * Math.min(1, Math.max(0.35, this.rows / this.cols)));
    const first = !this.sized;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(width * devicePixelRatio);
    this.canvas.height = Math.round(height * devicePixelRatio);
    this.sized = true;
    this.view.resize(width, height);
    if (first) this.view.whole();
    this.#soon();
  }

  #soon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    if (!this.sized) return;
    const seen = this.tiles.covering(this.view.span);
    const range = rangeOf(this.tiles.samples(), this.wholeRange);
    this.range = range;
    const pen = this.canvas.getContext("2d");
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, this.view.width, this.view.height);
    pen.imageSmoothingEnabled = this.view.scale < 1;
    for (const tile of seen) this.#drawTile(pen, tile);
    this.#drawCursor(pen);
    // What a test, or a curious user, can ask for.
    this.canvas.dataset.ready = String(seen.every((tile) => tile.state === "ready"));
    this.canvas.dataset.requests = String(this.tiles.requests);
    this.#say();
    this.failed = seen.find((tile) => tile.state === "failed")?.error ?? null;
    this.onChange(this);
  }

  #drawTile(pen, tile) {
    const { left, top, scale } = this.view;
    const [x, y] = [(tile.col - left) * scale, (tile.row - top) * scale];
    if (tile.state !== "ready") {
      pen.fillStyle = getComputedStyle(this.canvas).getPropertyValue("--pending");
      pen.fillRect(x, y, tile.width * scale, tile.height * scale);
      return;
    }
    pen.drawImage(picture(tile, this.range), x, y, tile.width * scale, tile.height * scale);
  }

  #drawCursor(pen) {
    if (!this.cursor) return;
    const { left, top, scale, width, height } = this.view;
    const { row, col } = this.cursor;
    const [x, y, size] = [(col - left) * scale, (row - top) * scale, Math.max(scale, 3)];
    for (const [colour, wide] of [["#000000b0", 3], ["#ffffff", 1.25]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.strokeRect(x - 0.5, y - 0.5, size + 1, size + 1);
    }
    pen.fillStyle = "#ffffff50";
    pen.fillRect(0, y + size / 2 - 0.5, width, 1);
    pen.fillRect(x + size / 2 - 0.5, 0, 1, height);
  }

  #say() {
    const { row, col } = this.cursor ?? {};
    const found = this.cursor ? this.tiles.at(row, col) : undefined;
    this.readout.textContent = this.cursor
      ? `row ${row}, column ${col}: ${found === undefined ? "not here yet" : value(found)}`
      : `${this.rows} × ${this.cols}; point at an entry to read it`;
  }

  #point(entry) {
    this.cursor = entry;
    this.#soon();
  }

  #grabbed(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.grabbed = true;
  }

  #released() {
    this.grabbed = false;
  }

  #moved(event) {
    if (this.grabbed) this.view.pan(-event.movementX, -event.movementY);
    this.#point(this.view.entry(event.offsetX, event.offsetY));
  }

  #wheel(event) {
    // Only where the heatmap was chosen first, so that it does not catch a page that is scrolled.
    if (!event.ctrlKey && document.activeElement !== this.canvas) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's: zoom, back
    const step = event.shiftKey ? 10 : 1;
    if (event.key in KEYS) {
      const { row, col } = this.cursor ?? { row: this.view.span.top - step, col: this.view.span.left };
      const [down, right] = KEYS[event.key];
      const next = {
        row: Math.min(this.rows - 1, Math.max(0, row + down * step)),
        col: Math.min(this.cols - 1, Math.max(0, col + right * step)),
      };
      this.view.reveal(next.row, next.col);
      this.#point(next);
    } else if (event.key === "+" || event.key === "=") this.zoom(ZOOM);
    else if (event.key === "-") this.zoom(1 / ZOOM);
    else if (event.key === "0") this.whole();
    else if (event.key === "Escape") this.#point(null);
    else return;
    event.preventDefault();
  }
}

/** A square's picture in the colours of a range, kept until the range is another. */
export function picture(tile, range) {
  const name = `${range.low},${range.high}`;
  if (tile.painted !== name) {
    tile.canvas ??= h("canvas", { width: tile.width, height: tile.height });
    const pen = tile.canvas.getContext("2d");
    const image = pen.createImageData(tile.width, tile.height);
    paint(tile.values, range, image);
    pen.putImageData(image, 0, 0);
    tile.painted = name;
  }
  return tile.canvas;
}
