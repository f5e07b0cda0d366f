"""Keys that would stay for ever though service/store/keys.py does not say that they may."""

import fnmatch

from redis import Redis

from service.store import keys


def immortal(client: Redis) -> list[str]:
    """The names in a store that have no TTL and are not declared permanent."""
    return [
        key.decode()
        for key in client.scan_iter(count=1000)
        if client.ttl(key) == -1
        and not any(fnmatch.fnmatch(key.decode(), pattern) for pattern in keys.PERMANENT)
    ]
