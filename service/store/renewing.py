"""Sorted sets of when things end: those that are there last longer, in a full store too."""

from collections.abc import Iterable

from redis.asyncio import Redis

# KEYS: sorted set; ARGV: moment, members
_RENEW = """#!lua flags=allow-oom
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', 'GT', ARGV[1], ARGV[i]) end
"""


async def renew_scores(
    client: Redis, name: str, members: Iterable[str | bytes], moment: float
) -> None:
    """Raise the scores of members to `moment`; who is not a member does not become one."""
    await client.register_script(_RENEW)(keys=[name], args=[moment, *members])
