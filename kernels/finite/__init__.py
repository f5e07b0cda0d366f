"""Finite-width networks of the same specs, whose kernels approach the closed forms.

    width.py        how wide a network is
    chain.py        layers one after the other: weights, outputs, masks
    network.py      an architecture at a finite width
    empirical.py    NNGP and NTK of one network's outputs, by automatic differentiation
    monte_carlo.py  their means over networks, with standard errors

Each layer draws its weights and applies them in its own file under kernels/layers. Only
width.py may be read without JAX.
"""
