"""Kernel jobs: forecast, admitted, cut into named tiles, stored, followed to their end.

jobs.py          create, look up, wait for, list, cancel, delete, lay out: as the API sees them
blueprint.py     from a request to named tiles; digests.py: the names
drafts.py        what of it is there already, and how long the rest will take; nothing is stored
admission.py     whether such a job is taken
forecasts.py     how long it will take; estimates.py: what POST /v1/estimates says of it
first_fields.py  its record at the beginning
events.py        what happens to jobs, told to whoever listens
lifetimes.py     nothing expires under an unfinished job
large_results.py what jobs take of the object store, and give back
"""
