"""Elementwise layers, each by its dual: E[f(u) f(v)] and E[f'(u) f'(v)] of two Gaussians.

activation.py    what all share
rectifiers.py, erf.py, gelu.py, waves.py, exponentials.py, polynomials.py: in closed form
elementwise.py   the others, by integration: looked up (interpolated.py) in dual_table.py
"""
