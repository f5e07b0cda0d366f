// Networks to begin with, each with the shape of one input that suits it.

const layers = (...list) => ({ layers: list });

export const EXAMPLES = [
  {
    name: "Attention",
    summary: "softmax attention over a sequence, averaged over its positions",
    shape: [16, 8],
    architecture: layers(
      { type: "dense", w_std: 1.4, b_std: 0.1 },
      { type: "relu" },
      { type: "attention", mechanism: "softmax", qk_std: 1.0 },
      { type: "relu" },
      { type: "global_avg_pool" },
      { type: "dense" },
    ),
  },
  {
    name: "Text: convolution, attention, lengths",
    summary: "sequences of different lengths; attention that knows how far apart words are",
    shape: [32, 6],
    masked: true,
    architecture: layers(
      { type: "conv", window: [5], padding: "same" },
      { type: "relu" },
      {
        type: "attention",
        mechanism: "softmax",
        positional: { merge: "sum", decay: { type: "exponential", length: 4 } },
      },
      { type: "relu" },
      { type: "global_avg_pool" },
      { type: "dense" },
    ),
  },
  {
    name: "Transformer blocks",
    summary: "twice: attention and a network on each position, both with residual connections",
    shape: [12, 8],
    architecture: layers(
      { type: "dense" },
      {
        type: "repeat",
        times: 2,
        layers: [
          {
            type: "parallel",
            merge: "sum",
            branches: [
              [],
              [{ type: "layer_norm" }, { type: "attention" }, { type: "dense", w_std: 0.5 }],
            ],
          },
          {
            type: "parallel",
            merge: "sum",
            branches: [
              [],
              [
                { type: "layer_norm" },
                { type: "dense" },
                { type: "gelu" },
                { type: "dense", w_std: 0.5 },
              ],
            ],
          },
        ],
      },
      { type: "global_avg_pool" },
      { type: "dense" },
    ),
  },
  {
    name: "Images: convolution",
    summary: "two convolutions, pooling, and a readout of every position",
    shape: [10, 10, 3],
    architecture: layers(
      { type: "conv", window: [3, 3] },
      { type: "relu" },
      { type: "conv", window: [3, 3] },
      { type: "relu" },
      { type: "avg_pool", window: [2, 2] },
      { type: "flatten" },
      { type: "dense" },
    ),
  },
  {
    name: "Vectors: dense",
    summary: "the multilayer perceptron",
    shape: [16],
    architecture: layers(
      { type: "dense", w_std: 1.5, b_std: 0.1 },
      { type: "relu" },
      { type: "dense", w_std: 1.5, b_std: 0.1 },
      { type: "erf" },
      { type: "dense" },
    ),
  },
];

/** JSON as a person writes it: a line for each layer that fits on one. */
export function written(value, indent = "", width = 72) {
  const flat = JSON.stringify(value, null, 1).replace(/\n\s*/g, " ");
  const simple = !(indent === "" && value?.layers);
  if (typeof value !== "object" || value === null || (simple && indent.length + flat.length <= width)) {
    return flat.replace(/\[ /g, "[").replace(/ \]/g, "]");
  }
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const items = value.map((item) => inner + written(item, inner, width));
    return `[\n${items.join(",\n")}\n${indent}]`;
  }
  const members = Object.entries(value).map(
    ([name, member]) => `${inner}${JSON.stringify(name)}: ${written(member, inner, width)}`,
  );
  return `{\n${members.join(",\n")}\n${indent}}`;
}
