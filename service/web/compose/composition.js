// A request that is being written: network, arrays, wishes; what it would take; and the button.

import { read } from "../calls/api.js";
import { Submission } from "../calls/submission.js";
import { WHOLE } from "../calls/uploads.js";
import { h, problemNote } from "../elements/dom.js";
import { bytes } from "../elements/words.js";
import { Arrays } from "./arrays.js";
import { Network } from "./network.js";
import { Paused } from "./slot.js";

const PAUSE = 350;

export class Composition {
  /**
   * title, lead, verb: words. arrays: {title, places}; first: the array that the network must fit;
   * sample(shape, rows, masked): files by name, of which sampleHint tells. wishes(onChange): has `element` and `body()`.
   * Subclasses say `missing()`, null when all is there, `estimates()`, and `show(job)`.
   */
  constructor({ title, lead, verb, path, arrays, first, sample, sampleHint, wishes }) {
    this.title = title;
    this.verb = verb;
    this.sending = this.possible = this.entered = false;
    this.path = path;
    this.first = first;
    this.submission = new Submission();
    this.estimate = h("div", { class: "estimate", "aria-live": "polite" });
    this.ask = h("button", { type: "button", onclick: () => this.#estimate() }, "Estimate");
    this.submit = h("button", {
      type: "button", class: "primary", onclick: () => this.#submit(),
    }, verb);
    const changed = () => this.#changed();
    this.wishes = wishes(changed);
    this.arrays = new Arrays({
      ...arrays,
      sampleHint,
      onChange: () => this.#arrived(),
      sample: (rows) => {
        const { example, shape } = this.network;
        return sample(this.arrays.sampled ? example.shape : shape, rows, Boolean(example.masked));
      },
    });
    this.network = new Network(first, changed, () => this.arrays.renew());
    this.element = h("div", { class: "view" },
      h("h1", { tabindex: "-1" }, title), h("p", { class: "lead" }, lead),
      this.network.element, this.arrays.element, this.wishes.element,
      h("section", { class: "card last", "aria-labelledby": "estimate-title" },
        h("h2", { id: "estimate-title" }, "What it takes"),
        this.estimate, h("div", { class: "buttons" }, this.submit, this.ask)));
  }

  /** Back from another view: what it takes may be different by now. */
  enter() {
    this.entered = true;
    this.#changed();
  }

  leave() {
    this.entered = false;
    this.#stop();
  }

  /** A body and a form for POST, with the arrays that `names` says (all, under their own names). */
  async form(wishes, names) {
    const form = new FormData();
    const body = { architecture: this.network.document, ...wishes };
    await this.arrays.put(form, body, names);
    form.append("request", JSON.stringify(body));
    return form;
  }

  /** The estimate of a kernel job of these arrays. */
  async estimateOf(wishes, names, signal) {
    const body = await this.form(wishes, names);
    return read("/v1/estimates", { method: "POST", body, signal });
  }

  #arrived() {
    const [, ...shape] = this.arrays.header(this.first)?.shape ?? [];
    this.network.fit(shape.length ? shape : null); // one axis is no input; the estimate says so
    this.#changed();
  }

  /** Ends the estimate that is under way, or was to be. */
  #stop() {
    clearTimeout(this.timer);
    this.running?.abort();
  }

  /** Whether the request could be sent; while one is being sent no other is. */
  #allow(possible = this.possible) {
    this.possible = possible;
    this.submit.disabled = this.sending || !possible;
    this.submit.textContent = this.sending ? "Sending…" : this.verb;
  }

  #changed() {
    if (!this.network) return;
    this.#stop();
    this.arrays.complain(null);
    const missing = this.network.valid ? this.missing() : (this.missing() ?? "The network is not valid yet.");
    this.ask.disabled = missing !== null;
    this.#allow(missing === null);
    const { unsent, size } = this.arrays;
    const small = this.#small();
    if (missing) this.#tell(missing);
    else if (small) this.timer = setTimeout(() => this.#estimate(), PAUSE);
    else if (unsent.length) this.#tell(`${unsent.join(" and ")} will be uploaded first, in parts: ${bytes(size)}.`);
    else this.#tell(`Estimating sends the inputs, ${bytes(size)}.`);
  }

  /** Whether an estimate sends so little that nobody need ask for it; offers the button where not. */
  #small() {
    const { unsent, size } = this.arrays;
    this.ask.hidden = !unsent.length && size <= WHOLE;
    this.ask.textContent = unsent.length ? "Upload and estimate" : "Estimate";
    return this.ask.hidden;
  }

  #tell(words) {
    this.estimate.replaceChildren(h("p", { class: "faint" }, words));
  }

  #fail(error) {
    if (error instanceof Paused) this.#tell(error.message);
    else this.estimate.replaceChildren(problemNote(error));
    this.arrays.complain(error);
    this.#small(); // a dataset that is gone has to be uploaded again
  }

  async #estimate() {
    this.#stop();
    const running = (this.running = new AbortController());
    this.estimate.setAttribute("aria-busy", "true");
    try {
      const { elements, admitted } = await this.estimates(running.signal);
      if (running.signal.aborted) return;
      this.#allow(admitted);
      this.estimate.replaceChildren(...elements);
    } catch (error) {
      if (running.signal.aborted) return;
      if ([413, 422].includes(error.status)) this.#allow(false);
      this.#fail(error);
    } finally {
      this.estimate.removeAttribute("aria-busy");
    }
  }

  async #submit() {
    this.#stop();
    this.sending = true;
    this.#allow();
    try {
      const made = await this.submission.send(this.path, await this.form(this.wishes.body()));
      if (this.entered) this.show(made);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.sending = false;
      this.#allow();
    }
  }
}
