// Beside a heatmap: what its colours mean, and where in a large matrix it is.

import { COLOURS } from "./colours.js";
import { h } from "../elements/dom.js";
import { picture } from "./heatmap.js";
import { value } from "../elements/words.js";

const OVERVIEW = 112;

/** A bar of all colours with the ends of their range. */
export class Legend {
  constructor() {
    this.low = h("span");
    this.high = h("span");
    const bar = h("canvas", { width: COLOURS.length, height: 1, "aria-hidden": "true" });
    const pen = bar.getContext("2d");
    const image = pen.createImageData(COLOURS.length, 1);
    new Uint32Array(image.data.buffer).set(COLOURS);
    pen.putImageData(image, 0, 0);
    this.element = h("div", { class: "legend", role: "group", "aria-label": "colours" }, this.low, bar, this.high);
  }

  show({ low, high }) {
    this.low.textContent = value(low);
    this.high.textContent = value(high);
  }
}

/** The whole of a large matrix: what has been fetched of it, and the part in sight. */
export class Overview {
  constructor(goTo) {
    this.canvas = h("canvas", {
      class: "overview", hidden: true, role: "img", "aria-label": "the part in sight of the whole",
      onpointerdown: (event) => this.#go(event, goTo),
      onpointermove: (event) => event.buttons && this.#go(event, goTo),
    });
  }

  show({ view, tiles, range }) {
    this.canvas.hidden = view.all;
    if (view.all) return;
    const scale = OVERVIEW / Math.max(view.rows, view.cols);
    this.scale = scale;
    this.canvas.width = Math.max(8, Math.round(view.cols * scale));
    this.canvas.height = Math.max(8, Math.round(view.rows * scale));
    const pen = this.canvas.getContext("2d");
    for (const tile of tiles.ready()) {
      pen.drawImage(picture(tile, range), tile.col * scale, tile.row * scale, tile.width * scale, tile.height * scale);
    }
    const { top, bottom, left, right } = view.span;
    for (const [colour, wide] of [["#000", 3], ["#fff", 1.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.strokeRect(left * scale + 1, top * scale + 1, (right - left) * scale - 2, (bottom - top) * scale - 2);
    }
  }

  #go(event, goTo) {
    goTo(event.offsetY / this.scale, event.offsetX / this.scale);
  }
}
