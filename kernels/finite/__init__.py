"""Finite-width networks of the same specs, whose kernels approach the closed forms.

    linear_map.py   weights as linear maps, which can note what they did
    draw.py         all weights of a network from one key
    identity.py     how it tells its inputs apart
    network.py      an architecture at a finite width
    gradients.py    the gradients of one input, and their inner products
    empirical.py    NNGP and NTK of one network's outputs, by automatic differentiation
    sampler.py      some networks at a time, compiled, within a budget of memory
    monte_carlo.py  their means over networks, with standard errors

Each layer names its weights and applies them in its own file under kernels/layers, where chains of
layers are too (finite_chain).

The papers' own layers, with weights as they are trained rather than drawn and no infinite width:

    l2_attention.py  L2 multi-head self-attention, and dot-product attention beside it
    lipschitz.py     its Lipschitz bounds
    sensitivity.py   lower bounds of any function's Lipschitz constant, by climbing its Jacobian
    invertible.py    residual blocks, inverted by fixed-point iteration
    fast_weights.py  the additive and the delta rule, step by step and in parallel
    favor.py         FAVOR+ features and attention

Only lipschitz.py may be read without JAX.
"""
