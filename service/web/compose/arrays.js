// Step 2 of a new job: the arrays, as files. Only headers are read here.

import { h } from "../elements/dom.js";
import { NpyMistake, readHeader } from "../calls/npy.js";
import { sample } from "./samples.js";
import { bytes, shape } from "../elements/words.js";

const PLACES = [
  { name: "x1", title: "x1", hint: "inputs: (n, d), (n, T, d) or (n, H, W, C)" },
  { name: "x2", title: "x2", hint: "optional: the other side; without it, x1 against itself" },
  { name: "mask1", title: "mask1", hint: "optional: where a position of x1 is real" },
  { name: "mask2", title: "mask2", hint: "optional: the same for x2" },
];

export class Arrays {
  /** onChange() when a file has come or gone; sampleOf() says {shape, masked} for sample data. */
  constructor(onChange, sampleOf) {
    this.onChange = onChange;
    this.sampleOf = sampleOf;
    this.files = {};
    this.slots = Object.fromEntries(PLACES.map((place) => [place.name, this.#slot(place)]));
    this.rows = h("input", {
      id: "sample-rows", type: "number", min: "4", max: "1000", value: "64", inputmode: "numeric",
    });
    this.element = h("section", { class: "card", "aria-labelledby": "arrays-title" },
      h("h2", { id: "arrays-title" }, "Inputs"),
      h("div", { class: "slots" }, Object.values(this.slots).map((slot) => slot.element)),
      h("div", { class: "fields" },
        h("button", { type: "button", onclick: () => this.#sample() }, "Use sample data"),
        h("label", { class: "field" }, h("span", {}, "rows"), this.rows),
        h("span", { class: "faint" }, "four families of waves, made in your browser")));
  }

  /** Bytes of all files together. */
  get size() {
    return Object.values(this.files).reduce((sum, { file }) => sum + file.size, 0);
  }

  /** The shape of one input, null without x1. */
  get shape() {
    return this.files.x1?.header.shape.slice(1) ?? null;
  }

  /** Another network is begun: sample data are made anew in the shape that suits it. */
  renew() {
    if (this.sampled) this.#sample();
  }

  #slot({ name, title, hint }) {
    const state = h("span", { class: "faint", id: `${name}-state` }, hint);
    const input = h("input", {
      type: "file", accept: ".npy", id: name, "aria-describedby": `${name}-state`,
      onchange: () => {
        if (input.files.length) this.#take(name, input.files[0]);
        input.value = "";
      },
    });
    const remove = h("button", {
      type: "button", class: "quiet", hidden: true, "aria-label": `remove ${name}`,
      onclick: () => {
        this.#drop(name);
        this.onChange();
        input.focus();
      },
    }, "Remove");
    const element = h("div", {
      class: "slot",
      ondragover: (event) => {
        event.preventDefault();
        element.classList.add("over");
      },
      ondragleave: () => element.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        element.classList.remove("over");
        if (event.dataTransfer.files.length) this.#take(name, event.dataTransfer.files[0]);
      },
    },
    h("label", { for: name }, h("strong", {}, title), h("span", { class: "choose" }, "choose or drop a .npy file")),
    input, state, remove);
    return { element, state, remove, hint };
  }

  async #take(name, file, sampled = false) {
    const { element, state } = this.slots[name];
    this.#drop(name);
    this.sampled = sampled;
    try {
      const header = await readHeader(file);
      this.files[name] = { file, header };
      element.classList.add("full");
      this.slots[name].remove.hidden = false;
      const order = header.fortran ? ", Fortran order" : "";
      state.replaceChildren(
        h("b", {}, file.name), h("span", {}, shape(header.shape)),
        h("span", {}, `${header.dtype}${order}, ${bytes(header.bytes)}`));
    } catch (error) {
      if (!(error instanceof NpyMistake)) throw error;
      element.classList.add("bad");
      state.textContent = `${file.name}: ${error.message}`;
    }
    this.onChange();
  }

  #drop(name) {
    const { element, state, remove, hint } = this.slots[name];
    delete this.files[name];
    element.classList.remove("full", "bad");
    remove.hidden = true;
    state.textContent = hint;
  }

  async #sample() {
    const { shape: one, masked } = this.sampleOf();
    const rows = Math.min(1000, Math.max(4, Math.round(Number(this.rows.value)) || 64));
    this.rows.value = rows;
    for (const { name } of PLACES) this.#drop(name);
    for (const [name, file] of Object.entries(sample(one, rows, masked))) {
      await this.#take(name, file, true);
    }
  }
}
