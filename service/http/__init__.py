"""What comes over HTTP, whatever it is about, and what goes wrong with it.

bodies.py            how many bytes are read, and what kinds of them; body_room.py: of all requests
strict_json.py       JSON, and nothing that merely looks like it
arrays.py            `.npy` and nested lists, in and out
content_digest.py    whether the bytes that came are those that were sent
queries.py           query parameters, Accept, Prefer
conditional.py       ETags and byte ranges
idempotency.py       Idempotency-Key: one resource for a request, however often it is sent
presence.py          waiting only while the client is there and the process goes on
problems.py          what goes wrong, and the one table from error to status
problem_response.py  every error as one document; allowed_methods.py: for 405
protocol.py          bytes that are no HTTP
"""
