// A new job: network, inputs, wishes; what it would take; and the button.

import { read } from "../calls/api.js";
import { Arrays } from "./arrays.js";
import { h, problemNote } from "../elements/dom.js";
import { Network } from "./network.js";
import { Wishes } from "./wishes.js";
import { bytes, count, seconds } from "../elements/words.js";

const PAUSE = 350;
// Larger inputs are sent for an estimate only when that is asked for.
const SMALL = 8 << 20;

export class Compose {
  title = "Compute a kernel";

  constructor(show) {
    this.show = show;
    this.estimate = h("div", { class: "estimate", "aria-live": "polite" });
    this.ask = h("button", { type: "button", onclick: () => this.#estimate() }, "Estimate");
    this.submit = h("button", {
      type: "button", class: "primary", onclick: () => this.#submit(),
    }, "Compute");
    this.wishes = new Wishes(() => this.#changed());
    this.arrays = new Arrays(() => this.#arrived(), () => ({
      shape: this.arrays.sampled ? this.network.example.shape : this.network.shape,
      masked: Boolean(this.network.example.masked),
    }));
    this.network = new Network(() => this.#changed(), () => this.arrays.renew());
    this.element = h("div", { class: "view" },
      h("h1", { tabindex: "-1" }, this.title),
      h("p", { class: "lead" },
        "The exact NNGP and NTK matrices of an infinitely wide network. Write the network down, bring the inputs, look at the result."),
      this.network.element, this.arrays.element, this.wishes.element,
      h("section", { class: "card last", "aria-labelledby": "estimate-title" },
        h("h2", { id: "estimate-title" }, "What it takes"),
        this.estimate, h("div", { class: "buttons" }, this.submit, this.ask)));
  }

  /** Back from another view: what it takes may be different by now. */
  enter() {
    this.#changed();
  }

  leave() {
    clearTimeout(this.timer);
    this.running?.abort();
  }

  #arrived() {
    this.network.fit(this.arrays.shape);
    this.#changed();
  }

  #changed() {
    if (!this.network) return;
    this.leave();
    const missing = this.#missing();
    this.submit.disabled = missing !== null;
    this.ask.disabled = missing !== null;
    this.ask.hidden = this.arrays.size <= SMALL;
    if (missing) this.estimate.replaceChildren(h("p", { class: "faint" }, missing));
    else if (this.arrays.size <= SMALL) this.timer = setTimeout(() => this.#estimate(), PAUSE);
    else {
      this.estimate.replaceChildren(h("p", { class: "faint" },
        `Estimating sends the inputs, ${bytes(this.arrays.size)}.`));
    }
  }

  #missing() {
    const { files } = this.arrays;
    if (!files.x1) return "Choose x1, or use sample data.";
    if (files.mask2 && !files.x2) return "mask2 needs x2.";
    if (!this.wishes.body().outputs.length) return "Choose at least one kernel.";
    if (!this.network.valid) return "The network is not valid yet.";
    return null;
  }

  #form() {
    const form = new FormData();
    const body = { architecture: this.network.document, ...this.wishes.body() };
    form.append("request", JSON.stringify(body));
    for (const [name, { file }] of Object.entries(this.arrays.files)) form.append(name, file);
    return form;
  }

  async #estimate() {
    this.leave();
    const running = (this.running = new AbortController());
    this.estimate.setAttribute("aria-busy", "true");
    try {
      const found = await read("/v1/estimates", {
        method: "POST", form: this.#form(), signal: running.signal,
      });
      this.submit.disabled = !found.admitted;
      this.estimate.replaceChildren(...described(found));
    } catch (error) {
      if (running.signal.aborted) return;
      if (error.status === 422) this.submit.disabled = true;
      this.estimate.replaceChildren(problemNote(error));
    } finally {
      this.estimate.removeAttribute("aria-busy");
    }
  }

  async #submit() {
    this.leave();
    this.submit.disabled = true;
    this.submit.textContent = "Sending…";
    try {
      // A name for the request, so that sending it twice makes one job.
      const headers = { "Idempotency-Key": name() };
      const job = await read("/v1/kernels", { method: "POST", form: this.#form(), headers });
      this.show(`#/jobs/${job.id}`);
    } catch (error) {
      this.estimate.replaceChildren(problemNote(error));
      this.submit.disabled = false;
    } finally {
      this.submit.textContent = "Compute";
    }
  }
}

function name() {
  // crypto.randomUUID is there in secure contexts only, and a service may be plain HTTP.
  const bits = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bits, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function described(estimate) {
  const { tiles, seconds: time } = estimate;
  const facts = [
    ["Result", estimate.shape.join(" × "), bytes(estimate.bytes.results)],
    ["Tiles", count(tiles.total), tiles.cached ? `${count(tiles.cached)} cached` : "none cached"],
    ["Time", time ? seconds(time.p50) : "–", timeNote(estimate)],
    ["Workers", String(estimate.workers), estimate.workers === 1 ? "tile at once" : "tiles at once"],
  ];
  return [
    h("div", { class: "figures" }, facts.map(([label, figure, note]) =>
      h("div", {}, h("span", {}, label), h("b", {}, figure), h("small", {}, note)))),
    estimate.refusal
      ? h("div", { class: "note bad", role: "alert" }, h("strong", {}, "Would be refused"), h("p", {}, estimate.refusal.detail))
      : null,
    ...estimate.warnings.map((text) => h("p", { class: "warning" }, text)),
  ].filter(Boolean);
}

function timeNote({ seconds: time, uncalibrated, workers, tiles }) {
  if (tiles.to_compute === 0) return "all there already";
  if (time) return `90 %: ${seconds(time.p90)}`;
  if (!workers) return "no worker is here";
  return uncalibrated ? "nothing measured yet" : "not known";
}
