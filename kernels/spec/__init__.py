"""What layers and mechanisms are written in. No JAX.

model.py       the base of every spec, whose numbers can be told from its structure
signal.py      the static facts that flow from layer to layer
width.py       how wide a finite network is, and what an array of weights is
exactness.py   how exact a rule is
parameters.py  which parameters a place may have, and which one was meant
pointers.py    from pydantic's error locations to JSON pointers
"""
