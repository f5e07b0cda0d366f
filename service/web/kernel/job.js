// One job: how far it is, what it was, and what came of it.

import { ApiProblem, call, read } from "../calls/api.js";
import { h, problemNote } from "../elements/dom.js";
import { follow, hasEnded } from "../calls/events.js";
import { KernelView } from "./kernel_view.js";
import { spectrum } from "./spectrum.js";
import { bytes, count, moment, seconds, shape } from "../elements/words.js";

// How often a picture may ask again for rows that were not finished.
const GLANCE = 1000;

export class Job {
  title = "Job";

  constructor(show, id) {
    this.show = show;
    this.id = id;
    this.leaving = new AbortController();
    this.state = h("span", { class: "pill" }, "…");
    this.bar = h("progress", { "aria-label": "tiles finished" });
    this.far = h("p", { class: "faint", role: "status" });
    this.cancel = h("button", { type: "button", hidden: true, onclick: () => this.#cancel() }, "Cancel");
    this.remove = h("button", { type: "button", class: "danger", onclick: () => this.#remove() }, "Delete");
    this.notes = h("div");
    this.facts = h("dl", { class: "facts" });
    this.receipt = h("details", { hidden: true });
    this.results = h("div", { class: "results" });
    this.element = h("div", { class: "view" },
      h("div", { class: "titleline" },
        h("h1", { tabindex: "-1" }, "Job ", h("code", {}, id)), this.state,
        h("div", { class: "buttons" }, this.cancel, this.remove)),
      h("section", { class: "card", "aria-label": "progress" }, this.bar, this.far, this.notes, this.facts, this.receipt),
      this.results);
    this.#run();
  }

  leave() {
    this.leaving.abort();
    this.kernel?.close();
  }

  async #run() {
    const { signal } = this.leaving;
    try {
      await this.#load();
      if (!hasEnded(this.job.state)) {
        await follow(this.job, (progress) => this.#progress(progress), signal);
        await this.#load();
      }
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  async #load() {
    this.job = await read(`/v1/kernels/${encodeURIComponent(this.id)}`, { signal: this.leaving.signal });
    this.#progress(this.job);
    this.#describe();
    this.#look();
    this.kernel?.progress(this.job);
    if (this.job.state === "succeeded" && this.job.form === "matrix" && !this.spectrum) {
      this.spectrum = spectrum(this.job, this.leaving.signal);
      this.results.append(this.spectrum);
    }
  }

  /** `now` has at least state, tiles_done and tiles_total. */
  #progress(now) {
    Object.assign(this.job, now);
    const { state, tiles_done: done, tiles_total: total } = this.job;
    this.state.textContent = state;
    this.state.className = `pill ${state}`;
    this.bar.max = total;
    this.bar.value = done;
    this.bar.hidden = state === "succeeded";
    const ahead = this.job.eta_s && !hasEnded(state) ? `, about ${seconds(this.job.eta_s)} to go` : "";
    this.far.textContent = `${count(done)} of ${count(total)} tiles${ahead}`;
    this.cancel.hidden = hasEnded(state);
    this.#look();
    const moment = performance.now();
    if (this.kernel && moment - (this.glanced ?? 0) > GLANCE) {
      this.glanced = moment;
      this.kernel.progress(this.job);
    }
  }

  /** Shows the kernel as soon as there is something to see. */
  #look() {
    const { state, tiles_done: done } = this.job;
    if (this.kernel || !done || state === "expired") return;
    this.kernel = new KernelView(this.job);
    this.results.prepend(this.kernel.element);
  }

  #describe() {
    const { job } = this;
    const taken = job.finished_at && job.started_at
      ? seconds((new Date(job.finished_at) - new Date(job.started_at)) / 1000) : null;
    const facts = [
      ["Shape", shape(job.shape)],
      ["Kernels", job.outputs.map((name) => name.toUpperCase()).join(", ")],
      ["Numbers", `${job.dtype}, ${job.exactness}`],
      ["Method", job.method.type.replace("_", " ")],
      ["Begun", job.started_at && moment(job.started_at)],
      ["Took", taken],
      ["From the cache", job.tiles_reused ? `${count(job.tiles_reused)} tiles` : null],
      ["Kept until", moment(job.expires_at)],
      ["Network", h("code", { title: job.architecture }, job.architecture.slice(0, 16))],
    ];
    this.facts.replaceChildren(...facts.filter(([, fact]) => fact).map(([name, fact]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, fact))));
    this.notes.replaceChildren(
      ...job.warnings.map((text) => h("p", { class: "warning" }, text)),
      ...(job.error ? [problemNote(new ApiProblem(job.error, new Response()))] : []),
      ...(job.state === "expired" ? [h("p", { class: "warning" }, "The results are gone; the same request computes them again.")] : []));
    this.receipt.hidden = !job.receipt;
    if (job.receipt) {
      const text = JSON.stringify(job.receipt, null, 2);
      this.receipt.replaceChildren(h("summary", {}, `Receipt (${bytes(text.length)})`), h("pre", { tabindex: "0" }, text));
    }
  }

  async #cancel() {
    try {
      await call(this.job.links.self, { method: "PATCH", json: { state: "cancelled" } });
    } catch (error) {
      this.#fail(error);
    }
  }

  async #remove() {
    try {
      await call(`/v1/kernels/${encodeURIComponent(this.id)}`, { method: "DELETE" });
      this.show("#/jobs");
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error) {
    this.notes.replaceChildren(problemNote(error));
    if (error.status === 404) {
      this.state.textContent = "not here";
      this.bar.hidden = this.remove.hidden = true;
    }
  }
}
