// Step 3 of a new job: which kernels, how exactly, and by which method.

import { h } from "../elements/dom.js";

const METHODS = {
  exact: { label: "exact: the closed form", fields: [] },
  additive: {
    label: "additive: long sequences, within a tolerance",
    fields: [{ name: "tolerance", label: "tolerance", value: 1e-5, step: "any" }],
  },
  monte_carlo: {
    label: "Monte Carlo: networks of finite width",
    fields: [
      { name: "width", label: "width", value: 128 },
      { name: "heads", label: "heads", value: 4 },
      { name: "samples", label: "samples", value: 16 },
      { name: "seed", label: "seed", value: 0 },
    ],
  },
};
const FORMS = {
  matrix: "matrix: every pair of rows",
  diagonal: "diagonal: row i with row i alone",
  positions: "positions: every pair of positions",
};

export class Wishes {
  constructor(onChange) {
    this.outputs = ["nngp", "ntk"].map((name) => h("input", {
      type: "checkbox", value: name, checked: true, onchange: onChange,
    }));
    this.dtypes = ["float32", "float64"].map((name, index) => h("input", {
      type: "radio", name: "dtype", value: name, checked: index === 0, onchange: onChange,
    }));
    this.form = h("select", { id: "form", onchange: onChange },
      Object.entries(FORMS).map(([name, label]) => h("option", { value: name }, label)));
    this.method = h("select", {
      id: "method",
      onchange: () => {
        this.#parameters(onChange);
        onChange();
      },
    }, Object.entries(METHODS).map(([name, { label }]) => h("option", { value: name }, label)));
    this.fields = h("div", { class: "fields" });
    const choice = (input, words) => h("label", { class: "choice" }, input, words);
    this.element = h("section", { class: "card", "aria-labelledby": "wishes-title" },
      h("h2", { id: "wishes-title" }, "Kernels"),
      h("div", { class: "fields" },
        h("fieldset", {}, h("legend", {}, "Compute"),
          choice(this.outputs[0], "NNGP"), choice(this.outputs[1], "NTK")),
        h("fieldset", {}, h("legend", {}, "Numbers"),
          choice(this.dtypes[0], "float32"), choice(this.dtypes[1], "float64")),
        h("label", { class: "field" }, h("span", {}, "Form"), this.form),
        h("label", { class: "field" }, h("span", {}, "Method"), this.method)),
      this.fields);
  }

  #parameters(onChange) {
    const { fields } = METHODS[this.method.value];
    this.fields.replaceChildren(...fields.map(({ name, label, value, step }) =>
      h("label", { class: "field" }, h("span", {}, label),
        h("input", { type: "number", name, value, step: step ?? "1", oninput: onChange }))));
  }

  /** The members of a request's body that say what is wanted. */
  body() {
    const method = { type: this.method.value };
    for (const input of this.fields.querySelectorAll("input")) method[input.name] = input.valueAsNumber;
    return {
      outputs: this.outputs.filter((box) => box.checked).map((box) => box.value),
      dtype: this.dtypes.find((radio) => radio.checked).value,
      form: this.form.value,
      method,
    };
  }
}
