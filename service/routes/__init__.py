"""The resources of the REST contract, one module each."""
