// A text field for JSON, with line numbers, colours and the place of a mistake.

import { h } from "../elements/dom.js";
import { lineOf } from "./json_places.js";

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;
const LINES = { least: 8, most: 24 };

export class Editor {
  constructor({ label, describedBy, onInput }) {
    this.gutter = h("pre", { class: "gutter", "aria-hidden": "true" });
    this.backdrop = h("pre", { class: "backdrop", "aria-hidden": "true" });
    this.field = h("textarea", {
      id: "architecture", "aria-label": label, "aria-describedby": describedBy,
      spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off",
      oninput: () => {
        this.mark(null);
        onInput();
      },
      onscroll: () => this.#follow(),
    });
    const paper = h("div", { class: "paper" }, this.backdrop, this.field);
    this.element = h("div", { class: "editor" }, this.gutter, paper);
  }

  get text() {
    return this.field.value;
  }

  set text(text) {
    this.field.value = text;
    this.mark(null);
  }

  /** Underlines characters [start, end) as wrong; null takes the mark away. */
  mark(place) {
    this.place = place;
    this.field.setAttribute("aria-invalid", place ? "true" : "false");
    this.#draw();
  }

  /** Puts the cursor on characters [start, end) and brings them into view. */
  select([start, end]) {
    this.field.focus();
    this.field.setSelectionRange(start, end);
    const height = Number.parseFloat(getComputedStyle(this.field).lineHeight);
    this.field.scrollTop = Math.max(0, (lineOf(this.text, start) - 4) * height);
    this.#follow();
  }

  #draw() {
    const text = this.text;
    const lines = text.split("\n").length;
    const wrong = this.place && lineOf(text, this.place[0]);
    this.field.rows = Math.min(LINES.most, Math.max(LINES.least, lines));
    this.gutter.replaceChildren(
      ...Array.from({ length: lines }, (_, index) =>
        h("span", { class: index + 1 === wrong ? "wrong" : null }, `${index + 1}\n`)),
    );
    const pieces = this.place ? this.#pieces(text, ...this.place) : coloured(text);
    this.backdrop.replaceChildren(...pieces, "\n");
    this.#follow();
  }

  #pieces(text, start, end) {
    const marked = text.slice(start, end).trim() ? text.slice(start, end) : "\u00a0";
    return [
      ...coloured(text.slice(0, start)),
      h("mark", {}, ...coloured(marked)),
      ...coloured(text.slice(end)),
    ];
  }

  #follow() {
    this.backdrop.scrollTop = this.gutter.scrollTop = this.field.scrollTop;
    this.backdrop.scrollLeft = this.field.scrollLeft;
  }
}

function coloured(text) {
  const pieces = [];
  let from = 0;
  for (const match of text.matchAll(TOKENS)) {
    const [whole, string, colon, number] = match;
    pieces.push(text.slice(from, match.index));
    const kind = string ? (colon ? "name" : "string") : number ? "number" : "literal";
    pieces.push(h("span", { class: kind }, string ?? whole), colon ?? "");
    from = match.index + whole.length;
  }
  pieces.push(text.slice(from));
  return pieces;
}
