"""How tiles reach workers.

dispatch.py  who is next: bounded, job by job in turn, and once for all who wait
docket.py    the task queue; the only module that knows Docket
tasks.py     what is queued: a tile, or an answer made of tiles
roster.py    which workers are alive
pace.py      how long they take, for estimates
tallies.py   what they have done, for /metrics
"""

import os

# The library below Docket's results, which nothing here uses, can check the types of all that it is
# given; to prepare for that took a twentieth of a process's start.
os.environ.setdefault("PY_KEY_VALUE_DISABLE_BEARTYPE", "true")
