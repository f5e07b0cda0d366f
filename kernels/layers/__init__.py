"""One layer a file: its parameters, what it does to shapes, what it wants, its exact limit.

layer.py          the base of all layers, and what each part of one is for
chain.py          layers one after the other: shapes
structure.py      layers made of layers: parallel branches, repetition
dense.py, conv.py, attention.py, pool.py, readout.py, layer_norm.py, dropout.py, activation/
mixed_inputs.py   attention directly over raw inputs
window.py         sliding windows, which conv and pools share
positional.py     the covariance of positions, which attention adds to its input's
estimator.py      how many heads a limit without a closed form is averaged over
random_logits.py  attention under "sqrt" scaling
head_moments.py   the kernels of a pair, as means over its heads
finite_chain.py   layers one after the other at finite width
finite_heads.py   the heads of an attention layer at finite width
fusion.py         what XLA must not compute again and again
"""
