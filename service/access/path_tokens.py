"""Short-lived tokens that stand in a path, for clients that send no headers of their own.

Whoever has the token may read one job's arrays until it ends. Only its digest is stored, and
`service.context` keeps it out of the logs.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from service.store import keys
from service.store.connection import now, raw

LIFETIME = timedelta(hours=1)
# As `GET /v1/limits` names them.
LIMITS: dict[str, int | float] = {"path_token_ttl_s": LIFETIME.total_seconds()}


@dataclass(frozen=True)
class PathToken:
    """A token for one job, and its end."""

    token: str
    expires_at: datetime


class PathTokens:
    """The tokens of all tenants, on Redis A."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def make(self, ref: str) -> PathToken:
        """A token for the job."""
        token = secrets.token_urlsafe(32)
        digest, tokens = _digest(token), keys.job(ref, "tokens")
        moment = await now(self._client)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(keys.path_token(digest), ref, ex=LIFETIME)
            # So that they go with the job; those that have ended make room.
            pipe.zremrangebyscore(tokens, "-inf", moment)
            pipe.zadd(tokens, {digest: moment + LIFETIME.total_seconds()})
            pipe.expire(tokens, LIFETIME)
            await pipe.execute()
        return PathToken(token, datetime.now(UTC) + LIFETIME)

    async def job(self, token: str) -> str | None:
        """The job that the token is for; None when it has ended or never was."""
        ref = raw(await self._client.get(keys.path_token(_digest(token))))
        return None if ref is None else ref.decode()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
