// The list of jobs, newest first, page by page.

import { call, read } from "./calls/api.js";
import { h, problemNote } from "./elements/dom.js";
import { hasEnded } from "./calls/events.js";
import { moment, shape } from "./elements/words.js";

const PAGE = 25;

export class Jobs {
  title = "Jobs";

  constructor() {
    this.rows = h("tbody");
    this.notes = h("div", { role: "status" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#load() }, "Older jobs");
    this.table = h("table", { class: "jobs", hidden: true },
      h("thead", {}, h("tr", {}, ["Job", "State", "Shape", "Kernels", "Made", ""].map((name) =>
        name ? h("th", { scope: "col" }, name) : h("td")))),
      this.rows);
    this.element = h("div", { class: "view" },
      h("div", { class: "titleline" }, h("h1", { tabindex: "-1" }, "Jobs"),
        h("div", { class: "buttons" },
          h("button", { type: "button", onclick: () => this.#again() }, "Refresh"))),
      h("section", { class: "card", "aria-label": "jobs" }, this.table, this.notes, this.more));
    this.#load();
  }

  leave() {
    this.left = true;
  }

  #again() {
    this.rows.replaceChildren();
    this.cursor = null;
    this.#load();
  }

  async #load() {
    const query = new URLSearchParams({ limit: PAGE, ...(this.cursor ? { cursor: this.cursor } : {}) });
    try {
      const page = await read(`/v1/kernels?${query}`);
      if (this.left) return;
      this.rows.append(...page.kernels.map((job) => this.#row(job)));
      this.cursor = page.next;
      this.more.hidden = page.next === null;
      this.#count();
    } catch (error) {
      this.notes.replaceChildren(problemNote(error));
    }
  }

  #count() {
    const none = !this.rows.children.length;
    this.table.hidden = none;
    this.notes.replaceChildren(...(none
      ? [h("p", { class: "empty" }, "No jobs yet. ", h("a", { href: "#/" }, "Compute a kernel"))] : []));
  }

  #row(job) {
    const state = h("span", { class: `pill ${job.state}` }, job.state);
    const act = h("button", { type: "button", class: "small" });
    const row = h("tr", {},
      h("td", {}, h("a", { href: `#/jobs/${job.id}` }, h("code", {}, job.id))),
      h("td", {}, state),
      h("td", {}, shape(job.shape)),
      h("td", {}, job.outputs.map((name) => name.toUpperCase()).join(", ")),
      h("td", {}, moment(job.created_at)),
      h("td", {}, act));
    const offer = (words, does) => {
      act.textContent = words;
      act.setAttribute("aria-label", `${words} ${job.id}`);
      act.onclick = () => this.#try(does);
    };
    const remove = async () => {
      await call(job.links.self, { method: "DELETE" });
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      (next?.querySelector("a") ?? this.element.querySelector("h1")).focus();
      this.#count();
    };
    if (hasEnded(job.state)) offer("Delete", remove);
    else {
      offer("Cancel", async () => {
        const now = await read(job.links.self, { method: "PATCH", json: { state: "cancelled" } });
        state.textContent = now.state;
        state.className = `pill ${now.state}`;
        offer("Delete", remove);
      });
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
