"""How a result is cut: buckets of lengths, and tiles. No JAX."""
