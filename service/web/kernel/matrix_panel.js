// A matrix to look at: its heatmap with what belongs around it.

import { h, problemNote } from "../elements/dom.js";
import { Heatmap } from "./heatmap.js";
import { Legend, Overview } from "./legend.js";

export class MatrixPanel {
  /** source: {shape, dtype, links}; name: of the array, which its links have. */
  constructor(source, name) {
    const legend = new Legend();
    const overview = new Overview((row, col) => this.heatmap.goTo(row, col));
    const problem = h("div");
    const map = (this.heatmap = new Heatmap(source, name, () => {
      legend.show(map.range);
      overview.show(map);
      problem.replaceChildren(...(map.failed ? [problemNote(map.failed)] : []));
    }));
    const button = (text, words, act) =>
      h("button", { type: "button", class: "small", "aria-label": words, title: words, onclick: act }, text);
    const whole = h("input", { type: "checkbox", onchange: () => map.spanColours(whole.checked) });
    this.elements = [
      h("div", { class: "stage" }, map.canvas, overview.canvas),
      h("div", { class: "tools" }, legend.element,
        h("label", { class: "choice" }, whole, "colours span all values"),
        h("span", { class: "zoom" },
          button("−", "zoom out", () => map.zoom(1 / 1.5)),
          button("+", "zoom in", () => map.zoom(1.5)),
          button("whole", "whole: as much as can be seen at once", () => map.whole()))),
      h("p", { class: "line" }, map.readout),
      problem,
      h("p", { class: "faint", id: "heatmap-keys" },
        "Drag to move; double click, + and − to zoom, also the wheel once the picture has the focus; arrow keys read entries one by one, 0 shows the whole."),
    ];
  }

  /** More rows may be finished. */
  again() {
    this.heatmap.again();
  }

  close() {
    this.heatmap.close();
  }
}
