// What a new prediction is to be: the model, its regularisation, the task, and what is answered.

import { h } from "../elements/dom.js";
import { Dtype, Method } from "./method.js";

const MODELS = {
  gaussian_process: "Gaussian process: the posterior",
  gradient_flow: "NTK ensemble: trained by gradient flow",
  kernel_ridge: "Kernel ridge: a mean alone",
};
const KERNELS = { nngp: "NNGP: the last layer is trained", ntk: "NTK" };
const USUAL = { gaussian_process: "nngp", kernel_ridge: "ntk" };
const REGULARISATIONS = {
  loo: "the best by leave-one-out",
  relative: "a share of the mean diagonal",
  absolute: "this number",
};
const CRITERIA = { mse: "mean squared error", log_density: "log predictive density" };
const OUTPUT_SCALES = {
  loo: "as wide as leave-one-out says",
  one: "as the network has them",
};
const TASKS = { regression: "regression", classification: "classification" };

export class ModelWishes {
  constructor(onChange) {
    const change = () => {
      this.#settle();
      onChange();
    };
    const select = (id, options, onPick = change) => h("select", { id, onchange: onPick },
      Object.entries(options).map(([name, label]) => h("option", { value: name }, label)));
    const field = (label, input) => h("label", { class: "field" }, h("span", {}, label), input);
    const number = (id, value) => h("input", {
      id, type: "number", min: "0", step: "any", value, oninput: change,
    });
    this.model = select("model", MODELS, () => {
      this.kernel.value = USUAL[this.model.value] ?? "ntk";
      change();
    });
    this.kernel = select("model-kernel", KERNELS);
    this.until = select("flow-end", { infinity: "the end (t = ∞)", time: "a time t" });
    this.time = number("flow-time", "1000");
    this.regularisation = select("diag-reg", REGULARISATIONS);
    this.value = number("diag-reg-value", "0.0001");
    this.criterion = select("criterion", CRITERIA);
    this.scale = select("output-scale", OUTPUT_SCALES);
    this.task = select("task", TASKS);
    this.spread = ["variance", "covariance"].map((name, index) => h("input", {
      type: "checkbox", value: name, checked: index === 0, onchange: change,
    }));
    this.dtype = new Dtype(change);
    this.method = new Method(change);
    this.parts = {
      kernel: field("Kernel", this.kernel),
      until: field("Trained until", this.until),
      time: field("t = steps × learning rate", this.time),
      value: field("diag_reg", this.value),
      criterion: field("Best by", this.criterion),
      scale: field("Error bars", this.scale),
      spread: h("fieldset", {}, h("legend", {}, "Beside the mean"),
        this.spread.map((box) => h("label", { class: "choice" }, box, box.value))),
    };
    this.element = h("section", { class: "card", "aria-labelledby": "model-title" },
      h("h2", { id: "model-title" }, "Model"),
      h("div", { class: "fields" },
        field("What is trained", this.model), this.parts.kernel, this.parts.until, this.parts.time),
      h("div", { class: "fields" },
        field("Added to the diagonal", this.regularisation), this.parts.value, this.parts.criterion,
        field("Targets", this.task), this.parts.spread,
        this.parts.scale),
      h("div", { class: "fields" }, this.dtype.element, this.method.element),
      this.method.fields);
    this.#settle();
  }

  /** Whether the kernel of the test inputs with themselves is needed. */
  get wantsSpread() {
    return this.model.value !== "kernel_ridge" && this.spread.some((box) => box.checked);
  }

  /** The members of a request's body that say what is wanted. */
  body() {
    const classes = this.task.value === "classification" ? ["classes"] : [];
    const spread = this.spread.filter((box) => this.wantsSpread && box.checked);
    return {
      model: this.#model(),
      task: this.task.value,
      outputs: ["mean", ...spread.map((box) => box.value), ...classes],
      dtype: this.dtype.value,
      method: this.method.value,
    };
  }

  #model() {
    const type = this.model.value;
    const diag_reg = this.regularisation.value === "loo"
      ? { type: "loo", criterion: this.criterion.value }
      : { type: this.regularisation.value, value: this.value.valueAsNumber };
    if (type === "gaussian_process") {
      const output_scale = this.scale.value === "loo" ? "loo" : 1;
      return { type, kernel: this.kernel.value, diag_reg, output_scale };
    }
    if (type === "kernel_ridge") return { type, kernel: this.kernel.value, diag_reg };
    const time = this.until.value === "infinity" ? "infinity" : this.time.valueAsNumber;
    return { type, time, diag_reg };
  }

  /** Shows what the choices so far leave open, and takes back what they rule out. */
  #settle() {
    const flow = this.model.value === "gradient_flow";
    const searched = this.regularisation.value === "loo";
    const finite = flow && this.until.value === "time";
    const disable = (choice, name, disabled, instead) => {
      choice.querySelector(`[value=${name}]`).disabled = disabled;
      if (disabled && choice.value === name) choice.value = instead;
    };
    // Leave-one-out has a closed form at the end of the flow only, and a density of a process only.
    disable(this.regularisation, "loo", finite, "relative");
    disable(this.criterion, "log_density", this.model.value !== "gaussian_process", "mse");
    this.parts.kernel.hidden = flow;
    this.parts.until.hidden = !flow;
    this.parts.time.hidden = !finite;
    this.parts.value.hidden = searched && !finite;
    this.parts.criterion.hidden = !searched || finite;
    this.parts.spread.hidden = this.model.value === "kernel_ridge";
    // Any scale gives the same mean.
    this.parts.scale.hidden = this.model.value !== "gaussian_process" || !this.wantsSpread;
  }
}
