// A new kernel job.

import { Composition } from "./composition.js";
import { figures } from "./estimate.js";
import { KernelWishes } from "./kernel_wishes.js";
import { families } from "./samples.js";

const PLACES = [
  { name: "x1", mask: "mask1", title: "x1", hint: "inputs: (n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C)" },
  { name: "x2", mask: "mask2", title: "x2", hint: "optional: the other side; without it, x1 against itself" },
  { name: "mask1", apart: true, title: "mask1", hint: "optional: where a position of x1 is real" },
  { name: "mask2", apart: true, title: "mask2", hint: "optional: the same for x2" },
];

export class KernelComposition extends Composition {
  constructor(show) {
    super({
      title: "Compute a kernel",
      lead: "The exact NNGP and NTK matrices of an infinitely wide network. Write the network down, bring the inputs, look at the result.",
      verb: "Compute",
      path: "/v1/kernels",
      arrays: { title: "Inputs", places: PLACES },
      first: "x1",
      sample: families,
      sampleHint: "four families of waves, made in your browser",
      wishes: (onChange) => new KernelWishes(onChange),
    });
    this.show = (job) => show(`#/jobs/${job.id}`);
  }

  missing() {
    const { arrays } = this;
    if (!arrays.header("x1")) return "Choose x1, or use sample data.";
    if (arrays.header("mask2") && !arrays.header("x2")) return "mask2 needs x2.";
    if (!this.wishes.body().outputs.length) return "Choose at least one kernel.";
    return null;
  }

  async estimates(signal) {
    const found = await this.estimateOf(this.wishes.body(), undefined, signal);
    return { elements: figures(found), admitted: found.admitted };
  }
}
