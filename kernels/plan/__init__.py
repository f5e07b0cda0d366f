"""How a result is cut, and what its pieces take. No JAX.

buckets.py       lengths at which inputs are computed
groups.py        how many inputs go together, and how many they are compiled for
tiles.py         pairs of groups: the pieces of a result that are computed, cached and served
placement.py     where the numbers of a tile belong in the whole
bins.py          short inputs side by side, for the additive method
landmarks.py     the inputs through which estimated logits know each other
input_memory.py  bytes that one input keeps for the pairs it is in
work.py          what is to be computed of two groups
head_memory.py   bytes that drawing heads of estimated layers takes
memory.py        bytes that a tile takes
cost.py          nominal seconds that a tile takes
"""
