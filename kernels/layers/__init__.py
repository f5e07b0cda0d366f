"""One layer a file: its parameters, what it does to shapes, what it wants, its exact limit.

layer.py          the base of all layers, and what each part of one is for
chain.py          layers one after the other: shapes
structure.py      layers made of layers: parallel branches, repetition
dense.py, conv.py, attention.py, pool.py, readout.py, layer_norm.py, dropout.py, activation/
mixed_inputs.py   attention directly over raw inputs
window.py         sliding windows, which conv and pools share
positional.py     the covariance of positions, which attention adds to its input's
random_logits.py  attention under "sqrt" scaling
fusion.py         what XLA must not compute again and again
"""
