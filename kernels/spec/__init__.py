"""The architecture vocabulary. No JAX.

architecture.py  a network as one document: parsing, canonical form, digest, shapes
model.py         the base of every spec, whose numbers can be told from its structure
parameters.py    which parameters a place may have, and which one was meant
pointers.py      from pydantic's error locations to JSON pointers
signal.py        the static facts that flow from layer to layer
"""
