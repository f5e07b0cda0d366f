"""The architecture vocabulary: parsing, canonical form, digest, shapes. No JAX."""
