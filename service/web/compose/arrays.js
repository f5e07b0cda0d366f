// The arrays of a request, each in its slot: as parts of a form, or as datasets where they are large.

import { h } from "../elements/dom.js";
import { Slot } from "./slot.js";

const ROWS = { least: 4, most: 1000, first: 64 };

export class Arrays {
  /**
   * places: [{name, title, hint, mask?, apart?}], where `mask` names the slot of its mask. onChange()
   * when a file has come or gone; sample(rows), where there is one, answers files by name.
   */
  constructor({ title, places, onChange, sample, sampleHint }) {
    this.places = places;
    this.onChange = onChange;
    this.makeSample = sample;
    this.slots = Object.fromEntries(places.map((place) => [
      place.name, new Slot(place, () => this.#changed(place.name)),
    ]));
    for (const { name, mask } of places) this.slots[name].mask = this.slots[mask];
    this.element = h("section", { class: "card", "aria-labelledby": "arrays-title" },
      h("h2", { id: "arrays-title" }, title),
      h("div", { class: "slots" }, Object.values(this.slots).map((slot) => slot.element)),
      sample ? this.#offer(sampleHint) : null);
  }

  /** Bytes of all that every request has to carry. */
  get size() {
    return Object.values(this.slots).reduce((sum, slot) => sum + slot.size, 0);
  }

  /** Names of the arrays that are sent in parts, and are not there yet. */
  get unsent() {
    return this.places.map(({ name }) => this.slots[name])
      .filter((slot) => slot.large && !slot.dataset).map((slot) => slot.name);
  }

  /** The header of an array that was chosen, else undefined. */
  header(name) {
    return this.slots[name]?.header;
  }

  /**
   * Shows a problem at the array that its pointer leads to; null takes all back. Where that is a dataset
   * which is gone, none is relied on any more.
   */
  complain(error) {
    const [, name, dataset] = /^\/(\w+)(\/dataset$)?/.exec(error?.problem?.pointer ?? "") ?? [];
    if (dataset) this.forget();
    for (const slot of Object.values(this.slots)) slot.complain(slot.name === name ? error.message : null);
  }

  /** Datasets may be gone, or another key's: the next request looks, and uploads again what is not there. */
  forget() {
    for (const slot of Object.values(this.slots)) if (slot.dataset) slot.forget();
  }

  /** Another network is begun: sample data are made anew in the shape that suits it. */
  renew() {
    if (this.sampled) this.#useSample();
  }

  /**
   * Puts arrays into a form and the body of its part `request`, after those that are large were
   * uploaded. names: which, and under what name the request has them; all under their own if absent.
   */
  async put(form, body, names) {
    names ??= Object.fromEntries(this.places.map(({ name }) => [name, name]));
    const inside = new Set();
    for (const { name, mask } of this.places) {
      const slot = this.slots[name];
      if (!(name in names) || !slot.large) continue;
      body[names[name]] = { dataset: await slot.store() };
      inside.add(name).add(mask); // a dataset brings its mask
    }
    for (const [name, as] of Object.entries(names)) {
      if (this.slots[name].file && !inside.has(name)) form.append(as, this.slots[name].file);
    }
  }

  #offer(hint) {
    this.rows = h("input", {
      id: "sample-rows", type: "number", min: ROWS.least, max: ROWS.most, value: ROWS.first, inputmode: "numeric",
    });
    return h("div", { class: "fields" },
      h("button", { type: "button", onclick: () => this.#useSample() }, "Use sample data"),
      h("label", { class: "field" }, h("span", {}, "rows"), this.rows),
      h("span", { class: "faint" }, hint));
  }

  #changed(name) {
    this.sampled = false;
    const holder = this.places.find(({ mask }) => mask === name);
    if (holder) this.slots[holder.name].forget();
    this.onChange();
  }

  async #useSample() {
    const asked = Math.round(Number(this.rows.value)) || ROWS.first;
    const rows = Math.min(ROWS.most, Math.max(ROWS.least, asked));
    this.rows.value = rows;
    for (const slot of Object.values(this.slots)) slot.drop();
    for (const [name, file] of Object.entries(this.makeSample(rows))) await this.slots[name].take(file);
    this.sampled = true;
    this.onChange();
  }
}
