"""Exact NNGP and NTK kernels of infinitely wide networks.

Where to go; at run time each imports only what stands above it (pyproject.toml has the contract):

    errors.py        what a caller can do wrong                                          no JAX
    result.py        what comes out, and what is known of its error                      no JAX
    compiler_options.py   how XLA compiles what numbers come from                        no JAX
    processor.py     what the processor does fast
    code_memory.py   room for what it compiled
    spec/            what layers and mechanisms are written in: numbers, signals         no JAX
    inputs.py        arrays and masks, checked                                           no JAX
    method.py        exact, additive or Monte Carlo                                      no JAX
    demand.py        the backward walk: what must each layer deliver?                    no JAX
    correlation.py   correlations and angles of two Gaussians
    mechanisms/      one attention mechanism a file: logits -> mixing matrix A(x)
    layers/          one layer a file: its parameters, its shape rule, its exact limit
    registry.py      the one table that lists both
    architecture.py  a network as one document: parsing, canonical form, digest, shapes  no JAX
    estimate/        attention with random logits: draws, landmarks, standard errors
    plan/            buckets of lengths, tiles of the result, their memory and cost      no JAX
    finite/          the same networks at finite width, and the papers' own layers
    compatible.py    do network, inputs, form and method go together?                    no JAX
    engine/          one-input pass, pair pass, tiles, the policy of the backend
    predict/         answers from matrices: Gaussian processes, gradient flow, ridge     no JAX
    reference.py     docs/layers.md, from the registry (generated.py, schema_words.py)   no JAX
    matrix.py        the front door: `kernel_matrix`

Layers import JAX inside their rules only, so everything marked "no JAX" may be read by a
process that has none.
"""

NUMERICS_VERSION = "12"
"""Part of every tile digest: raised when a change alters the numbers a tile holds."""
