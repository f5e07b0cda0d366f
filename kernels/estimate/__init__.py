"""Attention whose logits stay random: seeded draws of its heads, error bars.

    places.py     where a network is estimated, in how many groups of heads           no JAX
    checks.py     whether the heads fit in memory, and what is approximate            no JAX
    landmarks.py  which inputs are landmarks                                          no JAX
    names.py      what an input is known by, however it is padded                     no JAX
    factors.py    factors of the covariance of queries and keys, where all is linear  no JAX
    draws.py      the random numbers of heads, the same for every input and tile
    heads.py      what one input keeps of its heads
    jackknife.py  standard errors, by leaving out groups of heads
    shared.py     what all tiles of an estimated result have in common

The layer's half, the kernels of a pair as means over heads, is layers/random_logits and
layers/head_moments; the engine's is engine/heads.py, engine/landmarks.py and engine/replicates.py.
"""
