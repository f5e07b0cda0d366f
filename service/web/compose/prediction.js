// A new prediction: what infinitely wide networks that learnt y_train say of x_test.

import { Composition } from "./composition.js";
import { kernelTable } from "./estimate.js";
import { ModelWishes } from "./model_wishes.js";
import { curve } from "./samples.js";

const PLACES = [
  { name: "x_train", mask: "mask_train", title: "x_train", hint: "inputs: (n, d), (n, T, d) or (n, H, W, C)" },
  { name: "y_train", apart: true, title: "y_train", hint: "targets: (n) or (n, outputs); classes as whole numbers (n)" },
  { name: "x_test", mask: "mask_test", title: "x_test", hint: "inputs to predict for: (m, …)" },
  { name: "mask_train", apart: true, title: "mask_train", hint: "optional: where a position of x_train is real" },
  { name: "mask_test", apart: true, title: "mask_test", hint: "optional: the same for x_test" },
];

export class PredictionComposition extends Composition {
  constructor(show) {
    super({
      title: "Predict",
      lead: "What infinitely wide networks that learnt your data say of new inputs, with their uncertainty. Nothing is trained step by step: the answer is in closed form.",
      verb: "Predict",
      path: "/v1/predictions",
      arrays: { title: "Data", places: PLACES },
      first: "x_train",
      sample: curve,
      sampleHint: "inputs along a curve, made in your browser",
      wishes: (onChange) => new ModelWishes(onChange),
    });
    this.show = (prediction) => show(`#/predictions/${prediction.id}`);
  }

  missing() {
    const { arrays } = this;
    const absent = ["x_train", "y_train", "x_test"].filter((name) => !arrays.header(name));
    if (absent.length) return `Choose ${absent.join(", ")}, or use sample data.`;
    const [rows] = arrays.header("x_train").shape;
    const [targets] = arrays.header("y_train").shape;
    if (rows !== targets) return `x_train has ${rows} rows and y_train ${targets}: one target a row.`;
    return null;
  }

  /** Of its kernels, which are nearly all of the work. */
  async estimates(signal) {
    const { dtype, method, model } = this.wishes.body();
    const flow = model.type === "gradient_flow";
    const outputs = flow && this.wishes.wantsSpread ? ["nngp", "ntk"] : [model.kernel ?? "ntk"];
    const wishes = { outputs, dtype, method };
    const train = { x_train: "x1", mask_train: "mask1" };
    const estimates = {
      "training inputs": await this.estimateOf(wishes, train, signal),
      "test with training inputs": await this.estimateOf(
        wishes, { x_test: "x1", mask_test: "mask1", x_train: "x2", mask_train: "mask2" }, signal),
    };
    const admitted = Object.values(estimates).every((estimate) => estimate.admitted);
    return { elements: kernelTable(estimates), admitted };
  }
}
