// More rows for a job that has succeeded: only tiles with new rows are computed.

import { Submission } from "../calls/submission.js";
import { Arrays } from "../compose/arrays.js";
import { h, problemNote } from "../elements/dom.js";
import { shape } from "../elements/words.js";

const BOTH = [
  { name: "x1", mask: "mask1", title: "x1", hint: "new rows, shaped as those of the job" },
  { name: "mask1", apart: true, title: "mask1", hint: "optional: where a position of them is real" },
];
const OTHER = [
  { name: "x2", mask: "mask2", title: "x2", hint: "new rows of the other side" },
  { name: "mask2", apart: true, title: "mask2", hint: "optional: where a position of them is real" },
];

export class Extension {
  constructor(job, show) {
    this.job = job;
    this.show = show;
    this.sending = false;
    this.submission = new Submission();
    this.arrays = new Arrays({
      title: "More rows",
      places: job.symmetric ? BOTH : [...BOTH, ...OTHER],
      onChange: () => this.#changed(),
    });
    this.submit = h("button", { type: "button", disabled: true, onclick: () => this.#submit() }, "Extend");
    this.becomes = h("p", { class: "faint", role: "status" });
    this.problem = h("div");
    this.element = this.arrays.element;
    this.element.append(
      h("p", { class: "faint" }, "The larger result is a job of its own. What this one computed is reused: only the border is new."),
      this.problem, h("div", { class: "buttons" }, this.submit), this.becomes);
  }

  #changed() {
    const { job, arrays } = this;
    const added = ["x1", "x2"].map((name) => arrays.header(name)?.shape[0] ?? 0);
    this.#allow(added.some(Boolean));
    this.problem.replaceChildren();
    arrays.complain(null);
    const sizes = [job.n1 + added[0], job.n2 + (job.symmetric ? added[0] : added[1])];
    this.becomes.textContent = this.possible && job.form === "matrix"
      ? `${shape(job.shape)} becomes ${shape(sizes)}` : "";
  }

  /** Whether there is something to send; while it is being sent nothing else is. */
  #allow(possible = this.possible) {
    this.possible = possible;
    this.submit.disabled = this.sending || !possible;
  }

  async #submit() {
    this.sending = true;
    this.#allow();
    try {
      const [form, body] = [new FormData(), {}];
      await this.arrays.put(form, body);
      form.append("request", JSON.stringify(body));
      const job = await this.submission.send(`${this.job.links.self}/extensions`, form);
      this.show(`#/jobs/${job.id}`);
    } catch (error) {
      this.problem.replaceChildren(problemNote(error));
      this.arrays.complain(error);
    } finally {
      this.sending = false;
      this.#allow();
    }
  }
}
