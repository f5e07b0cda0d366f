"""Exact NNGP and NTK kernels of infinitely wide networks.

Where to go:

    spec/          the JSON vocabulary: parsing, canonical form, digest, shapes        no JAX
    layers/        one layer a file: its parameters, its shape rule, its exact limit
    mechanisms/    one attention mechanism a file: logits -> mixing matrix A(x)
    registry.py    the one table that lists both
    method.py      exact, additive or Monte Carlo                                      no JAX
    inputs.py      arrays and masks, checked                                           no JAX
    compatible.py  do network, inputs, form and method go together?                    no JAX
    demand.py      the backward walk: what must each layer deliver?                    no JAX
    plan/          buckets of lengths, tiles of the result, their memory and cost      no JAX
    estimate/      attention with random logits: draws, moments, standard errors
    engine/        one-input pass, pair pass, tiles, the policy of the backend
    finite/        the same networks at finite width, and the papers' own layers
    predict/       answers from matrices: Gaussian processes, gradient flow, ridge     no JAX
    result.py      what comes out, and what is known of its error                      no JAX
    errors.py      what a caller can do wrong                                          no JAX
    matrix.py      the front door: `kernel_matrix`
    compiler_options.py   how XLA compiles what numbers come from                      no JAX
    code_memory.py        room for what it compiled
    reference.py   docs/layers.md, from the registry (generated.py, schema_words.py)   no JAX

Layers import JAX inside their rules only, so everything marked "no JAX" may be read by a
process that has none.
"""

NUMERICS_VERSION = "10"
"""Part of every tile digest: raised when a change alters the numbers a tile holds."""
