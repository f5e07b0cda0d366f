"""The process that computes: tiles off the queue, one after another, into the store.

worker.py      the process: started, announced, stopped
tiler.py       what it does with one tile, from its delivery to its end
writing.py     its values on their way into a store that may be full or away
sharing.py     a suspect tile is computed alone
compiling.py   how much of the time was compiling; learning.py: what it tells of such tiles
provenance.py  what a result was computed with
"""
