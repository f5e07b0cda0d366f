// The head of something that was sent and is followed: its state, how far it is, facts, and what can
// be done with it.

import { ApiProblem, call, read } from "../calls/api.js";
import { hasEnded } from "../calls/events.js";
import { deletes } from "./deletion.js";
import { digestNote, h, problemNote } from "./dom.js";
import { bytes, moment, plural, seconds } from "./words.js";

// Layers of a network that are named where there is little room.
const NAMED = 8;

export class Following {
  /**
   * show(hash) goes to another view, unless this one was left by then. noun: "Job"; id; path: of the
   * resource; list: where to go once it is deleted; took: what the time from its start to its end is.
   * Subclasses say
   * `follow(signal)`, which waits until it has ended, `progress()`, {done, total, words},
   * `facts()`, [[name, element or text]], and `look()`, which shows results as they come.
   */
  constructor(show, { noun, id, path, list, took = "Took" }) {
    this.show = (hash) => {
      if (!this.leaving.signal.aborted) show(hash);
    };
    this.title = noun;
    this.path = `${path}/${encodeURIComponent(id)}`;
    this.list = list;
    this.took = took;
    this.leaving = new AbortController();
    this.state = h("span", { class: "pill" }, "…");
    this.bar = h("progress", { "aria-label": "tiles finished" });
    this.far = h("p", { class: "faint", role: "status" });
    this.cancel = h("button", { type: "button", hidden: true, onclick: () => this.#cancel() }, "Cancel");
    this.remove = h("button", { type: "button", class: "danger", hidden: true });
    deletes(this.remove, () => this.#remove());
    this.notes = h("div", { class: "notes" });
    this.details = h("dl", { class: "facts" });
    this.network = h("details", { hidden: true });
    this.receipt = h("details", { hidden: true });
    this.results = h("div", { class: "results" });
    this.element = h("div", { class: "view" },
      h("div", { class: "titleline" },
        h("h1", { tabindex: "-1" }, `${noun} `, h("code", {}, id)), this.state,
        h("div", { class: "buttons" }, this.cancel, this.remove)),
      h("section", { class: "card", "aria-label": "progress" },
        this.bar, this.far, this.notes, this.details, this.network, this.receipt),
      this.results);
  }

  leave() {
    this.leaving.abort();
  }

  /** Reads it, follows it to its end, and shows both. */
  async run() {
    const { signal } = this.leaving;
    try {
      await this.#load();
      if (!hasEnded(this.record.state)) {
        await this.follow(signal);
        await this.#load();
      }
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  /** News of it: whatever of the record is different. */
  update(now) {
    Object.assign(this.record, now);
    const { state } = this.record;
    const ended = hasEnded(state);
    const { done, total, words } = this.progress();
    this.state.textContent = state;
    this.state.className = `pill ${state}`;
    this.bar.max = total || 1;
    this.bar.value = done;
    this.bar.hidden = ended;
    this.far.textContent = words;
    this.cancel.hidden = ended;
    this.remove.hidden = false;
    this.look();
  }

  fail(error) {
    this.notes.replaceChildren(problemNote(error));
    if (error.status === 404) {
      this.state.textContent = "not here";
      this.bar.hidden = this.remove.hidden = this.cancel.hidden = true;
    }
  }

  async #load() {
    this.record = await read(this.path, { signal: this.leaving.signal });
    this.update({});
    this.#describe();
    // Should it be gone by now, its digest stays.
    this.#name().catch(() => undefined);
  }

  /** The layers' names instead of the digest, and the whole network below. */
  async #name() {
    const { architecture, links, state } = this.record;
    if (this.layers || state === "expired") return;
    const network = await read(links.architecture, { signal: this.leaving.signal });
    const names = network.layers.map((layer) => layer.type);
    const more = names.length > NAMED ? `, … (${plural(names.length, "layer")})` : "";
    this.layers = h("span", { title: architecture }, names.slice(0, NAMED).join(", ") + more);
    const text = JSON.stringify(network, null, 2);
    this.network.replaceChildren(h("summary", {}, `Network (${bytes(text.length)})`), h("pre", { tabindex: "0" }, text));
    this.network.hidden = false;
    this.#describe();
  }

  #describe() {
    const { record } = this;
    const taken = record.finished_at && record.started_at
      ? seconds((new Date(record.finished_at) - new Date(record.started_at)) / 1000) : null;
    const facts = [
      ...this.facts(),
      ["Begun", record.started_at && moment(record.started_at)],
      [this.took, taken],
      ["Kept until", moment(record.expires_at)],
      ["Network", this.layers ?? digestNote(record.architecture)],
    ];
    this.details.replaceChildren(...facts.filter(([, fact]) => fact).map(([name, fact]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, fact))));
    this.notes.replaceChildren(
      ...[...record.warnings, ...(record.receipt?.warnings ?? [])].map((text) => h("p", { class: "warning" }, text)),
      ...(record.error ? [problemNote(new ApiProblem(record.error, new Response()))] : []),
      ...(record.state === "expired" ? [h("p", { class: "warning" }, "The results are gone; the same request computes them again.")] : []));
    this.receipt.hidden = !record.receipt;
    if (!record.receipt) return;
    const text = JSON.stringify(record.receipt, null, 2);
    this.receipt.replaceChildren(h("summary", {}, `Receipt (${bytes(text.length)})`), h("pre", { tabindex: "0" }, text));
  }

  async #cancel() {
    try {
      await call(this.path, { method: "PATCH", json: { state: "cancelled" } });
    } catch (error) {
      this.fail(error);
    }
  }

  async #remove() {
    try {
      await call(this.path, { method: "DELETE" });
      this.show(this.list);
    } catch (error) {
      this.fail(error);
    }
  }
}
