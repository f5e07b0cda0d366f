"""Who may ask, how much, and from where.

gate.py         before every route: from the Authorization header to a tenant
api_keys.py     keys: made, listed, revoked, checked
path_tokens.py  tokens in a path, for clients that send no headers
quotas.py       requests a second, and responses kept open
exposure.py     where a service without keys may listen
"""
