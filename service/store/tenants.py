"""Tenants: who a request belongs to, and the secret that keys everything computed for them."""

import secrets

from redis.asyncio import Redis

from service.store import keys

# KEYS: the secret; ARGV: one for the case that there is none -> the secret. The first writer wins, so
# that processes that start together agree. These few bytes go into a full store too: without them not
# even an estimate can be answered.
FIRST_COME = """#!lua flags=allow-oom
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
"""

# Without API keys everyone is the one tenant.
DEFAULT_TENANT = "default"


class Tenants:
    """The tenants' secrets, made at first use and kept on Redis A (its AOF is in the data
    directory). Workers never read them."""

    def __init__(self, client: Redis) -> None:
        self._secret = client.register_script(FIRST_COME)
        self._secrets: dict[str, bytes] = {}

    async def secret(self, tenant: str) -> bytes:
        """The tenant's 32 secret bytes; without them no tile digest can be guessed or shared."""
        if tenant not in self._secrets:
            fresh = secrets.token_bytes(32)
            self._secrets[tenant] = await self._secret(keys=[keys.secret(tenant)], args=[fresh])
        return self._secrets[tenant]
