// How kernels are computed: the method with its parameters, and their numbers.

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

export class Method {
  constructor(onChange) {
    this.choice = h("select", {
      id: "method",
      onchange: () => {
        this.#parameters(onChange);
        onChange();
      },
    }, Object.entries(METHODS).map(([name, { label }]) => h("option", { value: name }, label)));
    this.element = h("label", { class: "field" }, h("span", {}, "Method"), this.choice);
    this.fields = h("div", { class: "fields" });
  }

  get value() {
    const method = { type: this.choice.value };
    for (const input of this.fields.querySelectorAll("input")) method[input.name] = input.valueAsNumber;
    return method;
  }

  #parameters(onChange) {
    const { fields } = METHODS[this.choice.value];
    this.fields.replaceChildren(...fields.map(({ name, label, value, step }) =>
      h("label", { class: "field" }, h("span", {}, label),
        h("input", { type: "number", name, value, step: step ?? "1", oninput: onChange }))));
  }
}

/** float32 or float64, of the kernels. */
export class Dtype {
  constructor(onChange) {
    this.radios = ["float32", "float64"].map((name, index) => h("input", {
      type: "radio", name: "dtype", value: name, checked: index === 0, onchange: onChange,
    }));
    this.element = h("fieldset", {}, h("legend", {}, "Numbers"),
      this.radios.map((radio) => h("label", { class: "choice" }, radio, radio.value)));
  }

  get value() {
    return this.radios.find((radio) => radio.checked).value;
  }
}
