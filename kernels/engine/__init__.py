"""Compiled kernels: the one-input pass, the pair pass, and the tiles made of them. JAX.

tile.py           one tile of a result, from the rows of its two groups
group.py          one of these groups on the device, with its one-input pass
pairs.py          which pairs of inputs
schedule.py       in which compiled calls
network.py        the structure of a network, a compilation key
passes.py         the compiled functions: the one-input pass, the pair pass
over_rows.py      a function of one input, over the inputs of a group
chain.py          layers one after the other, in either pass
block.py          the propagated state, where a layer meets it
kept.py           what one input keeps for the pair pass
additive_pairs.py the pairs of two groups by the additive evaluation, exact where its error is too large
additive_group.py a group for it, and the calls between two groups
additive.py       that evaluation: the network cut in parts, the averages of an input
effects.py        the main effects of both sides of a pair, from thin products of the bins of packed.py
combined.py       both put together, and the estimated error
shortened.py      short inputs of a group, for its exact pairs
heads.py          networks whose attention is estimated: their heads,
landmarks.py      what these see above a nonlinearity,
replicates.py     and the error bars
workspace.py      what the tiles of a process share: threads, memory, one-input results
turns.py          whose call is next
backend.py        what depends on the machine: micro-tiles, threads
compiled.py       compiled functions that threads share,
program_lock.py   and processes, through the folder where compiled code is kept
diagnosis.py      which layer to blame when a kernel is not finite
"""
