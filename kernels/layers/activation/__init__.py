"""Elementwise layers, each by its dual: E[f(u) f(v)] and E[f'(u) f'(v)] of two Gaussians."""
