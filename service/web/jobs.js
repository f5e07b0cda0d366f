// The lists of kernel jobs and of predictions, newest first, page by page.

import { call, read } from "./calls/api.js";
import { deletes } from "./elements/deletion.js";
import { digestNote, h, problemNote } from "./elements/dom.js";
import { hasEnded } from "./calls/events.js";
import { count, moment, shape } from "./elements/words.js";

const PAGE = 25;
const LISTS = {
  kernels: {
    title: "Kernel jobs", address: "#/jobs", none: "No kernel jobs yet.", begin: ["#/", "Compute a kernel"],
    columns: ["Job", "State", "Shape", "Kernels", "Network", "Made", ""],
    cells: (job) => [shape(job.shape), job.outputs.map((name) => name.toUpperCase()).join(", ")],
  },
  predictions: {
    title: "Predictions", address: "#/predictions", none: "No predictions yet.", begin: ["#/predict", "Predict"],
    columns: ["Prediction", "State", "Test inputs", "Model", "Network", "Made", ""],
    cells: ({ shapes, model, task }) => [count(shapes.mean[0]), `${model.type.replace("_", " ")}, ${task}`],
  },
};

export class Jobs {
  /** kind: "kernels" or "predictions". */
  constructor(kind) {
    this.kind = kind;
    const list = (this.list = LISTS[kind]);
    this.title = list.title;
    this.rows = h("tbody");
    this.notes = h("div", { role: "status" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#load() }, "Older ones");
    this.table = h("table", { class: "jobs", hidden: true },
      h("thead", {}, h("tr", {}, list.columns.map((name) =>
        name ? h("th", { scope: "col" }, name) : h("td")))),
      this.rows);
    this.element = h("div", { class: "view" },
      h("div", { class: "titleline" }, h("h1", { tabindex: "-1" }, "Jobs"),
        h("nav", { class: "kinds", "aria-label": "kinds of jobs" }, Object.values(LISTS).map(({ title, address }) =>
          h("a", { href: address, "aria-current": list.address === address ? "page" : null }, title))),
        h("div", { class: "buttons" },
          h("button", { type: "button", onclick: () => this.#again() }, "Refresh"))),
      h("section", { class: "card", "aria-label": list.title }, this.table, this.notes, this.more));
    this.#load();
  }

  leave() {
    this.loading.abort();
  }

  #again() {
    this.rows.replaceChildren();
    this.cursor = null;
    this.#load();
  }

  /** The next page. Whoever asks again meanwhile, or for another, gets one answer: the last. */
  async #load() {
    this.loading?.abort();
    const { signal } = (this.loading = new AbortController());
    const query = new URLSearchParams({ limit: PAGE, ...(this.cursor ? { cursor: this.cursor } : {}) });
    try {
      const page = await read(`/v1/${this.kind}?${query}`, { signal });
      this.rows.append(...page[this.kind].map((job) => this.#row(job)));
      this.cursor = page.next;
      this.more.hidden = page.next === null;
      this.#count();
    } catch (error) {
      if (!signal.aborted) this.notes.replaceChildren(problemNote(error));
    }
  }

  #count() {
    const none = !this.rows.children.length;
    this.table.hidden = none;
    this.notes.replaceChildren(...(none
      ? [h("p", { class: "empty" }, `${this.list.none} `, h("a", { href: this.list.begin[0] }, this.list.begin[1]))] : []));
  }

  #row(job) {
    const state = h("span", { class: `pill ${job.state}` }, job.state);
    const act = h("button", { type: "button", class: "small" });
    const row = h("tr", {},
      h("td", {}, h("a", { href: `${this.list.address}/${job.id}` }, h("code", {}, job.id))),
      h("td", {}, state),
      this.list.cells(job).map((cell) => h("td", {}, cell)),
      h("td", {}, digestNote(job.architecture, 8)),
      h("td", {}, moment(job.created_at)),
      h("td", {}, act));
    const remove = async () => {
      await call(job.links.self, { method: "DELETE" });
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      (next?.querySelector("a") ?? this.element.querySelector("h1")).focus();
      this.#count();
    };
    const offerRemoval = () => deletes(act, () => this.#try(remove), job.id);
    const cancel = async () => {
      const now = await read(job.links.self, { method: "PATCH", json: { state: "cancelled" } });
      state.textContent = now.state;
      state.className = `pill ${now.state}`;
      offerRemoval();
    };
    if (hasEnded(job.state)) offerRemoval();
    else {
      act.textContent = "Cancel";
      act.setAttribute("aria-label", `Cancel ${job.id}`);
      act.onclick = () => this.#try(cancel);
    }
    return row;
  }

  async #try(does) {
    this.notes.replaceChildren();
    try {
      await does();
    } catch (error) {
      this.notes.replaceChildren(problemNote(error));
    }
  }
}
