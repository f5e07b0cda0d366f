"""Compiled kernels: the one-input pass, the pair pass, and the tiles made of them. JAX."""
