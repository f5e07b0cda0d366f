"""Tenants: who a request belongs to, and the secret that keys everything computed for them."""

import secrets

from redis.asyncio import Redis

from service.store import keys
from service.store.connection import raw

# Without API keys everyone is the one tenant.
DEFAULT_TENANT = "default"


class Tenants:
    """The tenants' secrets, made at first use and kept on Redis A (its AOF is in the data
    directory). Workers never read them."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._secrets: dict[str, bytes] = {}

    async def secret(self, tenant: str) -> bytes:
        """The tenant's 32 secret bytes; without them no tile digest can be guessed or shared."""
        if tenant not in self._secrets:
            # The first writer wins, so that processes that start together agree.
            await self._client.set(keys.secret(tenant), secrets.token_bytes(32), nx=True)
            found = raw(await self._client.get(keys.secret(tenant)))
            if found is None:
                raise RuntimeError(f"the secret of tenant {tenant!r} vanished while it was read")
            self._secrets[tenant] = found
        return self._secrets[tenant]
