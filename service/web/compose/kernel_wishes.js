// Which kernels a new job is to have, how exactly, and by which method.

import { h } from "../elements/dom.js";
import { Dtype, Method } from "./method.js";

const FORMS = {
  matrix: "matrix: every pair of rows",
  diagonal: "diagonal: row i with row i alone",
  positions: "positions: every pair of positions",
};

export class KernelWishes {
  constructor(onChange) {
    this.outputs = ["nngp", "ntk"].map((name) => h("input", {
      type: "checkbox", value: name, checked: true, onchange: onChange,
    }));
    this.dtype = new Dtype(onChange);
    this.form = h("select", { id: "form", onchange: onChange },
      Object.entries(FORMS).map(([name, label]) => h("option", { value: name }, label)));
    this.method = new Method(onChange);
    const choice = (input, words) => h("label", { class: "choice" }, input, words);
    this.element = h("section", { class: "card", "aria-labelledby": "wishes-title" },
      h("h2", { id: "wishes-title" }, "Kernels"),
      h("div", { class: "fields" },
        h("fieldset", {}, h("legend", {}, "Compute"),
          choice(this.outputs[0], "NNGP"), choice(this.outputs[1], "NTK")),
        this.dtype.element,
        h("label", { class: "field" }, h("span", {}, "Form"), this.form),
        this.method.element),
      this.method.fields);
  }

  /** The members of a request's body that say what is wanted. */
  body() {
    return {
      outputs: this.outputs.filter((box) => box.checked).map((box) => box.value),
      dtype: this.dtype.value,
      form: this.form.value,
      method: this.method.value,
    };
  }
}
