// A new prediction: what infinitely wide networks that learnt y_train say of x_test.

import { read } from "../calls/api.js";
import { count } from "../elements/words.js";
import { Composition } from "./composition.js";
import { kernelTable, refusalNote } from "./estimate.js";
import { ModelWishes } from "./model_wishes.js";
import { curve } from "./samples.js";

const PLACES = [
  { name: "x_train", mask: "mask_train", title: "x_train", hint: "inputs: (n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C)" },
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

  /** Of its kernels, which are nearly all of the work, and what the limit of its solver says. */
  async estimates(signal) {
    const { dtype, method, model } = this.wishes.body();
    const flow = model.type === "gradient_flow";
    const kernel = model.kernel ?? "ntk";
    const estimate = (names, outputs) => this.estimateOf({ outputs, dtype, method }, names, signal);
    const trained = flow && this.wishes.wantsSpread ? ["nngp", "ntk"] : [kernel];
    const test = { x_test: "x1", mask_test: "mask1" };
    const estimates = {
      "training inputs": await estimate({ x_train: "x1", mask_train: "mask1" }, trained),
      "test with training inputs": await estimate({ ...test, x_train: "x2", mask_train: "mask2" }, trained),
    };
    if (this.#wholeTest) estimates["test inputs"] = await estimate(test, [flow ? "nngp" : kernel]);
    const { limits } = await read("/v1/limits", { signal });
    const refusals = this.#refusals(limits.max_prediction_rows);
    return {
      elements: [...kernelTable(estimates), ...refusals.map(refusalNote)],
      admitted: !refusals.length && Object.values(estimates).every(({ admitted }) => admitted),
    };
  }

  /** Whether the kernel of the test inputs is wanted as a matrix; for a variance its diagonal will do. */
  get #wholeTest() {
    const { outputs, method } = this.wishes.body();
    return outputs.includes("covariance") || (this.wishes.wantsSpread && method.type === "monte_carlo");
  }

  /** What passes the limit of a prediction, as far as headers tell: how many classes there are, none does. */
  #refusals(limit) {
    const [train, test] = ["x_train", "x_test"].map((name) => this.arrays.header(name).shape[0]);
    const [, columns = 1] = this.arrays.header("y_train").shape;
    const allowed = `${count(limit)} are allowed (max_prediction_rows)`;
    return [
      train > limit && `${count(train)} training rows; ${allowed}.`,
      test > limit && this.#wholeTest
        && `${count(test)} test rows, whose kernel is wanted as a whole matrix; ${allowed}: ask for fewer, or leave the covariance out.`,
      test * columns > limit ** 2
        && `${count(test)} test rows of ${count(columns)} outputs; ${count(limit ** 2)} values are allowed: ask for fewer rows at a time.`,
    ].filter(Boolean);
  }
}
