"""What the service keeps in Redis and in object stores, by name and for how long.

keys.py            every Redis name with its lifetime
connection.py      clients of both servers, and their clock; large_values.py: how they read those
records.py         kernel jobs: record, layout, events, each tenant's list
answers.py         records of answers: jobs of one task that waits for kernel jobs
job_fields.py      the fields of either, and who writes them
scripts.py, prelude.py, waking.py, counts.py   what changes and counts them while they run, as Lua
telling.py         what tells of them, as Lua: events of a job and of those that wait for it
inputs.py          architectures and rows, by content
holding.py         what is booked against a tenant's quota
renewing.py        what makes things last longer, in a full store too
array_bytes.py     arrays and masks as bytes
framed.py          values behind a header that says what they are
shelf.py           what a worker keeps at hand of them
datasets.py        uploaded arrays; uploads.py: those that come in parts; dataset_scripts.py: their steps, as Lua
tiles.py           results, tile by tile: cached_tiles.py (Redis B), far_tiles.py (an object store)
far_bytes.py       what tenants have in the object store
arrays.py          arrays of any size, in stripes that are tiles
tenants.py         the secret that keys what is computed for a tenant
"""
