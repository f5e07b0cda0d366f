// The network of a new request, checked by the service while it is written.

import { ApiProblem, read } from "../calls/api.js";
import { diagram } from "./diagram.js";
import { digestNote, h } from "../elements/dom.js";
import { Editor } from "./editor.js";
import { EXAMPLES, written } from "./examples.js";
import { JsonMistake, lineOf, placeOf, readJson } from "./json_places.js";
import { signal } from "../elements/words.js";

const PAUSE = 250;
const KEPT = "gramd.network.";

export class Network {
  /**
   * first: the array it must fit; onChange() at another verdict; onExample() at another example.
   * What was written is there again after a reload, until the tab is closed.
   */
  constructor(first, onChange, onExample) {
    this.first = first;
    this.onChange = onChange;
    this.verdict = h("div", { id: "verdict", class: "verdict", role: "status" });
    this.drawing = h("div", { class: "drawing", tabindex: "0", role: "region", "aria-label": "diagram of the network" });
    this.editor = new Editor({
      label: "architecture as JSON", describedBy: "verdict", onInput: () => this.#soon(),
    });
    this.choice = h("select", { id: "example", onchange: () => {
      this.#begin(this.choice.value);
      onExample();
    } },
      EXAMPLES.map((example, index) => h("option", { value: index }, example.name)));
    this.summary = h("p", { class: "faint" });
    this.sizes = h("input", {
      id: "input-shape", inputmode: "numeric", autocomplete: "off", size: "12",
      "aria-describedby": "input-shape-hint", oninput: () => this.#readSizes(),
    });
    this.hint = h("span", { id: "input-shape-hint", class: "faint" });
    this.element = h("section", { class: "card", "aria-labelledby": "network-title" },
      h("h2", { id: "network-title" }, "Network"),
      h("div", { class: "fields" },
        h("label", { class: "field" }, h("span", {}, "Start from"), this.choice),
        h("label", { class: "field" }, h("span", {}, "Shape of one input"), this.sizes),
        this.hint),
      this.summary,
      h("div", { class: "network" }, h("div", {}, this.editor.element, this.verdict), this.drawing));
    this.#resume();
  }

  /** Takes the shape of one input from an array that has been chosen; null when it is gone. */
  fit(shape) {
    this.fixed = shape !== null;
    if (shape) this.shape = shape;
    this.#showSizes();
    this.check();
    this.#keep();
  }

  #begin(index) {
    const { architecture, shape } = EXAMPLES[index];
    this.#take({ index, text: written(architecture), shape: this.fixed ? this.shape : shape });
    this.#keep();
  }

  #resume() {
    const kept = JSON.parse(sessionStorage.getItem(KEPT + this.first));
    if (kept && kept.index in EXAMPLES) this.#take(kept);
    else this.#begin(0);
  }

  #take({ index, text, shape }) {
    this.example = EXAMPLES[index];
    this.choice.value = index;
    this.summary.textContent = this.example.summary;
    this.editor.text = text;
    this.shape = shape;
    this.#showSizes();
    this.check();
  }

  #keep() {
    const kept = { index: EXAMPLES.indexOf(this.example), text: this.editor.text, shape: this.shape };
    sessionStorage.setItem(KEPT + this.first, JSON.stringify(kept));
  }

  #showSizes() {
    this.sizes.value = this.shape.join(", ");
    this.sizes.readOnly = this.fixed;
    this.sizes.setAttribute("aria-invalid", "false");
    this.hint.textContent = this.fixed ? `as ${this.first} has it` : "positions, then channels";
  }

  #readSizes() {
    const sizes = this.sizes.value.split(/[\s,×x]+/).filter(Boolean).map(Number);
    const good = sizes.length > 0 && sizes.length <= 4
      && sizes.every((size) => Number.isInteger(size) && size > 0);
    this.sizes.setAttribute("aria-invalid", String(!good));
    if (!good) return;
    this.shape = sizes;
    this.#soon();
  }

  #soon() {
    this.valid = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), PAUSE);
    this.#keep();
  }

  /** Reads the text, and has the service check what it says. */
  async check() {
    clearTimeout(this.timer);
    this.running?.abort();
    const running = (this.running = new AbortController());
    this.valid = false;
    const { text } = this.editor;
    let parsed;
    try {
      parsed = readJson(text);
    } catch (error) {
      if (!(error instanceof JsonMistake)) throw error;
      this.#wrong(text, [error.start, error.end], error.message, "not JSON yet");
      return;
    }
    this.document = parsed.value;
    try {
      const body = { architecture: parsed.value, input_shape: this.shape };
      const answer = await read("/v1/architectures", { method: "POST", json: body, signal: running.signal });
      this.#right(answer, parsed.places);
    } catch (error) {
      if (running.signal.aborted) return;
      const pointer = error.problem?.pointer ?? "";
      const inside = pointer.startsWith("/architecture") ? pointer.slice("/architecture".length) : null;
      if (error instanceof ApiProblem && inside !== null) {
        this.#wrong(text, placeOf(parsed.places, inside), error.message, inside || "the network", inside);
      } else {
        this.#undecided(error.message);
      }
      this.#draw(parsed.places, { wrong: inside });
    }
    this.onChange();
  }

  #right({ digest, description, warnings }, places) {
    this.valid = true;
    this.editor.mark(null);
    this.verdict.className = "verdict good";
    this.verdict.replaceChildren(
      h("p", {}, h("strong", {}, "Valid"), `: ${signal(description.input)} in, ${signal(description.output)} out, `,
        `${description.exactness} kernel`),
      h("p", { class: "faint" }, "digest ", digestNote(digest)),
      ...warnings.map((text) => h("p", { class: "warning" }, text)));
    this.#draw(places, description);
  }

  #wrong(text, place, message, where, pointer) {
    this.editor.mark(place);
    this.verdict.className = "verdict bad";
    this.verdict.replaceChildren(
      h("p", {},
        h("button", { type: "button", class: "link", onclick: () => this.editor.select(place) },
          `Line ${lineOf(text, place[0])}`),
        " ", h("code", {}, where), ` ${message}`));
    if (pointer === undefined) {
      this.drawing.classList.add("stale");
      this.onChange();
    }
  }

  #undecided(message) {
    this.editor.mark(null);
    this.verdict.className = "verdict bad";
    this.verdict.replaceChildren(h("p", {}, message));
  }

  #draw(places, { input, steps, wrong }) {
    const onPick = (pointer) => this.editor.select(placeOf(places, pointer));
    this.drawing.classList.remove("stale");
    this.drawing.replaceChildren(diagram(this.document, { input, steps, wrong, onPick }));
  }
}
