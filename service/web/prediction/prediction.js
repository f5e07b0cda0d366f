// One prediction: its kernel jobs, what training gave, and the answers.

import { follow, hasEnded } from "../calls/events.js";
import { Following } from "../elements/following.js";
import { h } from "../elements/dom.js";
import { count, plural, value } from "../elements/words.js";
import { MatrixPanel } from "../kernel/matrix_panel.js";
import { Answers } from "./answers.js";

const MODELS = {
  gaussian_process: "Gaussian process", gradient_flow: "gradient flow", kernel_ridge: "kernel ridge",
};
const ROLES = { train: "training inputs", cross: "test with training inputs", test: "test inputs" };

export class Prediction extends Following {
  constructor(show, id) {
    super(show, {
      noun: "Prediction", id, path: "/v1/predictions", list: "#/predictions", took: "Solving took",
    });
    this.run();
  }

  leave() {
    super.leave();
    this.covariance?.close();
  }

  follow(signal) {
    return follow(this.record, (progress) => this.update(progress), signal);
  }

  progress() {
    const { state, tiles_done: done, tiles_total: total } = this.record;
    const solving = done === total && !hasEnded(state) ? "; solving" : "";
    return { done, total, words: `${count(done)} of ${plural(total, "tile")} of its kernels${solving}` };
  }

  facts() {
    const { model, task, dtype, receipt, kernels } = this.record;
    const time = model.type === "gradient_flow" ? `, t = ${model.time === "infinity" ? "∞" : value(model.time)}` : "";
    return [
      ["Model", `${MODELS[model.type]}${time}`],
      ["Kernel", (model.kernel ?? "ntk").toUpperCase()],
      ["Targets", task],
      ["Kernels in", dtype],
      ...(receipt ? trained(receipt) : []),
      ["Made of the kernels of", h("ul", {}, Object.entries(kernels).map(([role, kernel]) =>
        h("li", {}, h("a", { href: `#/jobs/${kernel.id}`, title: kernel.id }, ROLES[role] ?? role))))],
    ];
  }

  look() {
    if (this.answers || this.record.state !== "succeeded") return;
    this.answers = new Answers(this.record, this.leaving.signal);
    this.results.append(this.answers.element);
    if (!this.record.results.includes("covariance")) return;
    const { shapes, links } = this.record;
    this.covariance = new MatrixPanel({ shape: shapes.covariance, dtype: "float64", links }, "covariance");
    this.results.append(h("section", { class: "card", "aria-labelledby": "covariance-title" },
      h("h2", { id: "covariance-title" }, "Covariance of the test inputs"), this.covariance.elements));
  }
}

/** What the receipt says of training, as facts. */
function trained(receipt) {
  const { diag_reg: regularisation, jitter, loo, log_marginal_likelihood: evidence } = receipt;
  const searched = regularisation.search ? `, best by ${regularisation.search.criterion.replace("_", " ")}` : "";
  return [
    ["diag_reg", `${value(regularisation.value)} (${value(regularisation.relative)} of the mean diagonal${searched})`],
    ["Output scale", receipt.output_scale == null ? null : value(receipt.output_scale)],
    ["Jitter added", jitter ? value(jitter) : "none was needed"],
    ["Log marginal likelihood", evidence == null ? null : `${value(evidence)} nats`],
    ["Leave-one-out error", loo?.mse == null ? null : `${value(loo.mse)} (mean square)`],
    ["Leave-one-out log density", loo?.log_density == null ? null : `${value(loo.log_density)} nats a target`],
    ["Variances clipped to 0", receipt.variance_clipped ? count(receipt.variance_clipped) : null],
  ];
}
