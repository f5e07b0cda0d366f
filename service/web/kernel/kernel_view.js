// The results of a job: a picture of each, its spectrum, and the files.

import { download, patient, save } from "../calls/api.js";
import { chart } from "../elements/chart.js";
import { h, problemNote } from "../elements/dom.js";
import { MatrixPanel } from "./matrix_panel.js";

// So many values of a diagonal are drawn; all of them are in the file.
const DRAWN = 4096;

export class KernelView {
  constructor(job) {
    this.job = job;
    this.results = job.results;
    this.tabs = this.results.map((name, index) => h("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "kernel-panel",
      onclick: () => this.#choose(name), onkeydown: (event) => this.#turn(event, index),
    }, label(name)));
    this.panel = h("div", { id: "kernel-panel", role: "tabpanel" });
    this.files = h("div", { class: "buttons" });
    this.problem = h("div");
    this.element = h("section", { class: "card", "aria-labelledby": "kernel-title" },
      h("div", { class: "cardhead" }, h("h2", { id: "kernel-title" }, "Kernel"),
        h("div", { class: "tabs", role: "tablist", "aria-label": "results" }, this.tabs)),
      this.panel, this.problem, this.files);
    this.#choose(this.results[0]);
  }

  /** More rows may be finished. */
  progress(job) {
    this.job = job;
    this.matrix?.again();
    if (this.job.form === "diagonal" && job.state === "succeeded") this.#choose(this.result);
    this.#offer();
  }

  close() {
    this.matrix?.close();
    this.matrix = null;
    this.asking?.abort();
  }

  #turn(event, index) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (index + step + this.tabs.length) % this.tabs.length;
    this.tabs[next].focus();
    this.#choose(this.results[next]);
  }

  #choose(name) {
    this.close();
    this.result = name;
    this.tabs.forEach((tab, index) => {
      const chosen = this.results[index] === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    });
    this.panel.setAttribute("aria-labelledby", `tab-${name}`);
    this.problem.replaceChildren();
    if (this.job.form === "matrix") {
      this.matrix = new MatrixPanel(this.job, name);
      this.panel.replaceChildren(...this.matrix.elements);
    } else if (this.job.form === "diagonal") this.#showDiagonal(name);
    else {
      this.panel.replaceChildren(h("p", { class: "faint" },
        `An array of the shape ${this.job.shape.join(" × ")}, rows by columns by positions of each; it is not drawn here.`));
    }
    this.#offer();
  }

  async #showDiagonal(name) {
    this.panel.replaceChildren(h("p", { class: "faint" }, "The diagonal appears here when its rows are finished."));
    const shown = Math.min(DRAWN, this.job.shape[0]);
    const { signal } = (this.asking = new AbortController());
    try {
      const response = await patient(`${this.job.links[name]}?rows=0:${shown}`, {
        headers: { Accept: "application/json" }, signal,
      });
      const { data } = await response.json();
      const words = `${label(name)}, ${shown} of ${this.job.shape[0]} rows`;
      this.panel.replaceChildren(chart({ series: [{ name, values: data }], log: false, across: "row", first: 0, label: words }));
    } catch (error) {
      if (!signal.aborted && error.status !== 409) this.problem.replaceChildren(problemNote(error));
    }
  }

  #offer() {
    const { id, links, state } = this.job;
    this.files.replaceChildren(
      ...this.results.map((name) =>
        this.#file(`${name}.npy`, () => download(links[name], `${id}-${name}.npy`))),
      ...(links.preview
        ? [this.#file("preview.png", async () => save(await patient(links.preview), `${id}.png`))] : []));
    for (const button of this.files.children) button.disabled = state !== "succeeded";
  }

  #file(name, get) {
    return h("button", {
      type: "button",
      onclick: async (event) => {
        event.target.setAttribute("aria-busy", "true"); // a picture is drawn when it is asked for
        try {
          await get();
        } catch (error) {
          this.problem.replaceChildren(problemNote(error));
        } finally {
          event.target.removeAttribute("aria-busy");
        }
      },
    }, `Download ${name}`);
  }
}

/** What people call a result. */
export function label(name) {
  const words = name.replace("_stderr", " standard error").split(" ");
  return [words[0].toUpperCase(), ...words.slice(1)].join(" ");
}
