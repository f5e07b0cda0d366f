"""One layer a file: parameters, shape rule, demand and exact infinite-width limit."""
