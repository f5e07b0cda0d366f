"""Finite-width networks of the same specs, whose kernels approach the closed forms.

    width.py        how wide a network is, and what its weights are
    chain.py        layers one after the other: weights, outputs, masks
    heads.py        the heads of an attention layer
    draw.py         all weights of a network from one key
    network.py      an architecture at a finite width
    empirical.py    NNGP and NTK of one network's outputs, by automatic differentiation
    sampler.py      some networks at a time, compiled, within a budget of memory
    monte_carlo.py  their means over networks, with standard errors

Each layer names its weights and applies them in its own file under kernels/layers. Only
width.py may be read without JAX.
"""
