"""API keys: made, listed, revoked and checked. Only their hashes are stored.

A key is `gramd_ID_SECRET`. ID finds its record; SECRET is 256 random bits, so that its SHA-256 is as
good as a slow password hash would be: there is no dictionary to try, and a search through 2^256
secrets ends with no hash. What is compared is the hash, in constant time. Nothing is remembered in
a process, so a revocation holds from the next request on, everywhere.
"""

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass
from typing import Literal

from redis.asyncio import Redis

from service.errors import StartError
from service.store import keys
from service.store.connection import now, raw

Scope = Literal["tenant", "metrics"]

KEY = re.compile(r"gramd_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
# Tenants become parts of Redis names.
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MAX_NAME = 80
# Compared with when there is no such record, so that the answer takes as long.
_NO_HASH = "0" * 64


@dataclass(frozen=True)
class ApiKey:
    """A key as it is stored: `hash` is the SHA-256 (hex) of the whole key, `scope` what it opens (a
    tenant's own, or /metrics alone), times are seconds since 1970."""

    id: str
    tenant: str
    scope: Scope
    name: str
    hash: str
    created_at: float
    revoked_at: float | None = None


class ApiKeys:
    """The keys of the service, on Redis A."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def create(
        self, tenant: str | None = None, *, scope: Scope = "tenant", name: str = ""
    ) -> tuple[str, ApiKey]:
        """A new key and its record; the key itself is not kept. Without `tenant` it gets a new one;
        one for metrics has none.

        Raises StartError for a tenant or a name that cannot be one.
        """
        tenant = "" if scope == "metrics" else tenant or f"t{secrets.token_hex(6)}"
        if tenant and not TENANT.fullmatch(tenant):
            raise StartError(
                f"a tenant is 1 to 40 of a-z, 0-9 and -, the first no -; got {tenant[:60]!r}"
            )
        if len(name) > MAX_NAME or not name.isprintable():
            raise StartError(f"a name is one line of at most {MAX_NAME} characters")
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = f"gramd_{key_id}_{secret}"
        moment = await now(self._client)
        record = ApiKey(key_id, tenant, scope, name, _hash(key), moment)
        if not await self._client.hsetnx(keys.API_KEYS, key_id, json.dumps(asdict(record))):
            raise RuntimeError("two keys drew the same 48 random bits; try again")
        return key, record

    async def list(self) -> list[ApiKey]:
        """Every key ever made, oldest first."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys.API_KEYS)
            pipe.hgetall(keys.REVOKED_KEYS)
            made, revoked = raw(await pipe.execute())
        found = [_record(value, revoked.get(key_id)) for key_id, value in made.items()]
        return sorted(found, key=lambda key: key.created_at)

    async def revoke(self, key_id: str) -> bool:
        """From now on the key opens nothing; False when there is none of this id.

        Its record stays, so that a service that has asked for keys never stops to ask.
        """
        if not await self._client.hexists(keys.API_KEYS, key_id):
            return False
        await self._client.hsetnx(keys.REVOKED_KEYS, key_id, repr(await now(self._client)))
        return True

    async def find(self, key: str) -> ApiKey | None:
        """The record of a valid key, None for any other."""
        match = KEY.fullmatch(key)
        key_id = match[1] if match else ""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hget(keys.API_KEYS, key_id)
            pipe.hget(keys.REVOKED_KEYS, key_id)
            value, revoked = raw(await pipe.execute())
        record = None if value is None else _record(value, revoked)
        same = hmac.compare_digest(_hash(key), _NO_HASH if record is None else record.hash)
        return record if same and record is not None and record.revoked_at is None else None

    async def any(self) -> bool:
        """Whether a key was ever made."""
        return bool(await self._client.exists(keys.API_KEYS))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _record(value: bytes, revoked: bytes | None) -> ApiKey:
    fields = json.loads(value) | {"revoked_at": None if revoked is None else float(revoked)}
    return ApiKey(**fields)
