"""Attention mechanisms, one a file: from logits to the mixing matrix A(x)."""
