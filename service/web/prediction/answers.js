// The answers of a prediction: mean and spread as a plot and a table, and the files.

import { download, patient } from "../calls/api.js";
import { chart } from "../elements/chart.js";
import { h, problemNote, scrolling } from "../elements/dom.js";
import { count, value } from "../elements/words.js";

// So many rows are drawn and listed; all of them are in the files.
const SHOWN = 2000;
const PAGE = 12;
// Columns of a mean beside one another in the table.
const WIDE = 6;

export class Answers {
  constructor(record, signal) {
    this.record = record;
    [this.rows, this.columns] = [record.shapes.mean[0], record.shapes.mean[1] ?? 1];
    this.shown = Math.min(SHOWN, this.rows);
    this.from = 0;
    const names = Array.from({ length: this.columns }, (_, index) => this.#name(index));
    this.column = h("select", { id: "column", "aria-label": "output that is drawn", onchange: () => this.#draw() },
      names.map((name, index) => h("option", { value: index }, name)));
    this.sorted = h("input", { type: "checkbox", onchange: () => this.#draw() });
    this.plot = h("div", { class: "plot" }, h("p", { class: "faint" }, "Fetching the answers…"));
    this.table = scrolling("table of answers");
    this.pages = h("div", { class: "buttons pages" });
    this.problem = h("div");
    this.element = h("section", { class: "card wide", "aria-labelledby": "answers-title" },
      h("div", { class: "cardhead" }, h("h2", { id: "answers-title" }, "Predicted"),
        h("div", { class: "fields" },
          this.columns > 1 ? this.column : null,
          h("label", { class: "choice" }, this.sorted, "in the order of the mean"))),
      this.plot, this.problem,
      h("div", { class: "buttons" }, record.results.map((name) => this.#file(name))),
      this.table, this.pages);
    this.#fetch(signal);
  }

  #name(column) {
    const { labels } = this.record;
    if (labels) return `class ${labels[column]}`;
    return this.columns > 1 ? `output ${column}` : "mean";
  }

  #file(name) {
    return h("button", {
      type: "button",
      onclick: async () => {
        try {
          await download(this.record.links[name], `${this.record.id}-${name}.npy`);
        } catch (error) {
          this.problem.replaceChildren(problemNote(error));
        }
      },
    }, `Download ${name}.npy`);
  }

  async #fetch(signal) {
    const part = async (name) => {
      if (!this.record.results.includes(name)) return null;
      const address = `${this.record.links[name]}?rows=0:${this.shown}`;
      const response = await patient(address, { headers: { Accept: "application/json" }, signal });
      return (await response.json()).data;
    };
    try {
      const [mean, variance, classes] = await Promise.all(["mean", "variance", "classes"].map(part));
      this.mean = mean.map((row) => (Array.isArray(row) ? row : [row]));
      this.deviation = variance?.map(Math.sqrt);
      this.classes = classes;
      this.#draw();
      this.#list();
    } catch (error) {
      if (!signal.aborted) this.plot.replaceChildren(problemNote(error));
    }
  }

  #draw() {
    const column = Number(this.column.value || 0);
    const order = Array.from({ length: this.shown }, (_, row) => row);
    if (this.sorted.checked) order.sort((a, b) => this.mean[a][column] - this.mean[b][column]);
    const mean = order.map((row) => this.mean[row][column]);
    const spread = this.deviation && order.map((row) => 2 * this.deviation[row]);
    const across = this.sorted.checked ? "test inputs, in the order of the mean" : "row of x_test";
    const all = this.shown === this.rows ? "" : `, the first ${count(this.shown)} of ${count(this.rows)} rows`;
    const words = this.deviation ? "mean and two standard deviations to both sides" : "mean";
    this.plot.replaceChildren(
      h("div", { class: "keys", "aria-hidden": "true" },
        h("span", { class: "key series-0" }, this.#name(column)),
        this.deviation ? h("span", { class: "key band" }, "± 2 standard deviations") : null,
        all ? h("span", { class: "faint" }, all.slice(2)) : null),
      chart({
        series: [{ name: "mean", values: mean }],
        band: spread && { low: mean.map((y, at) => y - spread[at]), high: mean.map((y, at) => y + spread[at]) },
        log: false, across, first: 0, label: `${this.#name(column)}: ${words}${all}`,
      }));
  }

  #list() {
    const columns = Array.from({ length: Math.min(WIDE, this.columns) }, (_, index) => index);
    const last = Math.min(this.from + PAGE, this.shown);
    const head = [
      "row", ...(this.classes ? ["class"] : []), ...columns.map((column) => this.#name(column)),
      ...(this.deviation ? ["standard deviation"] : []),
    ];
    const rows = Array.from({ length: last - this.from }, (_, index) => this.from + index);
    this.table.replaceChildren(h("table", { class: "figuretable answers" },
      h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, String(row)),
        this.classes ? h("td", {}, String(this.classes[row])) : null,
        columns.map((column) => h("td", {}, value(this.mean[row][column]))),
        this.deviation ? h("td", {}, value(this.deviation[row])) : null)))));
    const turn = (words, from, possible) => h("button", {
      type: "button", class: "small", disabled: !possible,
      onclick: () => {
        this.from = from;
        this.#list();
      },
    }, words);
    this.pages.hidden = this.shown <= PAGE;
    this.pages.replaceChildren(
      turn("Earlier rows", this.from - PAGE, this.from > 0),
      turn("Later rows", this.from + PAGE, last < this.shown),
      h("span", { class: "faint", role: "status" }, `rows ${this.from} to ${last - 1} of ${count(this.rows)}`));
  }
}
