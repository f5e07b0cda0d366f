"""Attention mechanisms, one a file: from logits to the mixing matrix A(x).

mechanism.py    what a mechanism is
mixing.py       A(x), dense or in two thin factors, and products with it
flat.py         the same products where all queries attend to nearly the same
head.py         one head with random logits
softmax.py, sparsemax.py, l2.py, linear.py, delta.py, performer.py, elementwise.py
low_rank.py     softmax in two factors, by pivoted Cholesky
feature_maps.py what linear attention and the delta rule see of queries and keys:
features.py     the maps themselves
relu_moment.py, elu_moment.py, mills.py, sine.py: their kernels
triangular.py   the inverse that the delta rule needs
"""
