"""What a tenant's stored inputs, datasets and jobs take: booked before they are written, against one quota.

    held    sorted set, name -> when it ends        books    hash, name -> bytes, "total" -> their sum

No step looks at all bookings: a name leads to its bytes, and those whose time is over fall off a few a step,
oldest first.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from redis.asyncio import Redis

from service.errors import OverLimit
from service.store import keys
from service.store.connection import now

# What a thing that is booked takes beside its own bytes, as MEMORY USAGE says: two or three keys (their names,
# their lifetimes, who needs it), and the booking. test_bookings.py holds it.
OVERHEAD = 800
# Bookings that one step lets go of, about 1 ms; where a quota is passed and more are over, it is repeated.
LAPSES = 200

# What the scripts below and those of others have in common. Bytes are written in full: 1e+15 is no integer.
BOOKS = """
local function total_of(books) return tonumber(redis.call('HGET', books, 'total') or 0) end
local function whole(number) return string.format('%.0f', number) end

local function unbook(held, books, name)
  local bytes = redis.call('HGET', books, name)
  if not bytes then return end
  redis.call('ZREM', held, name)
  redis.call('HDEL', books, name)
  redis.call('HINCRBY', books, 'total', whole(0 - tonumber(bytes)))
  if redis.call('EXISTS', held) == 0 then redis.call('DEL', books) end
end

local function lapse(held, books, now, most)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', now, 'LIMIT', 0, math.ceil(most))) do
    unbook(held, books, name)
  end
end

-- Both are there until the last of the bookings ends: said once, after whatever is booked.
local function last_as_long(held, books)
  local last = redis.call('ZREVRANGE', held, 0, 0, 'WITHSCORES')[2]
  if not last then return end
  redis.call('EXPIREAT', held, math.ceil(tonumber(last)))
  redis.call('EXPIREAT', books, math.ceil(tonumber(last)))
end

local function book_more(held, books, name, bytes, expiry)
  redis.call('HINCRBY', books, name, whole(bytes))
  redis.call('HINCRBY', books, 'total', whole(bytes))
  redis.call('ZADD', held, 'GT', expiry, name)
end

local function book_less(held, books, name, bytes)
  local known = tonumber(redis.call('HGET', books, name) or 0)
  if known <= bytes then return unbook(held, books, name) end
  redis.call('HINCRBY', books, name, whole(-bytes))
  redis.call('HINCRBY', books, 'total', whole(-bytes))
end

-- Under this name, so many bytes in all.
local function book(held, books, name, bytes, expiry)
  local known = tonumber(redis.call('HGET', books, name) or 0)
  book_more(held, books, name, tonumber(bytes) - known, expiry)
end
"""

# In a full store too: what gives room, or takes none.
_ALWAYS = "#!lua flags=allow-oom\n" + BOOKS

# KEYS: held, books; ARGV: now, quota, expiry, book (1) or only look (0), LAPSES, then name, bytes, ...
# -> {1, bytes after, what was not booked before} when all fit (and are now booked), {0, bytes that they
# would make}, {-1} when more have to lapse first
HOLD = (
    BOOKS
    + """
local held, books, now, quota = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
lapse(held, books, now, tonumber(ARGV[5]) + #ARGV / 2)
local total, fresh = total_of(books), {}
for i = 6, #ARGV, 2 do
  local known = redis.call('HGET', books, ARGV[i])
  total = total + tonumber(ARGV[i + 1]) - tonumber(known or 0)
  if not known then fresh[#fresh + 1] = ARGV[i] end
end
if total > quota then
  if redis.call('ZCOUNT', held, '-inf', now) > 0 then return {-1} end
  return {0, total}
end
if ARGV[4] == '0' then return {1, total} end
for i = 6, #ARGV, 2 do book(held, books, ARGV[i], ARGV[i + 1], ARGV[3]) end
last_as_long(held, books)
return {1, total, fresh}
"""
)

# KEYS: held, books; ARGV: names -> nothing
UNBOOK = _ALWAYS + "for _, name in ipairs(ARGV) do unbook(KEYS[1], KEYS[2], name) end"

# KEYS: held, books; ARGV: name, bytes, expiry -> nothing; booked whatever the quota
NOTE = (
    _ALWAYS
    + """
book(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
last_as_long(KEYS[1], KEYS[2])
"""
)

# KEYS: held, books; ARGV: expiry, names -> nothing; what is booked lasts longer, what is not does not become so
RENEW = (
    _ALWAYS
    + """
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', 'GT', ARGV[1], ARGV[i]) end
last_as_long(KEYS[1], KEYS[2])
"""
)

# KEYS: users, what they need, held, books; ARGV: user, its name in the books -> 1 when nobody else needs it
RELEASE = (
    _ALWAYS
    + """
redis.call('SREM', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[2])
unbook(KEYS[3], KEYS[4], ARGV[2])
return 1
"""
)


def books_of(tenant: str) -> list[str]:
    """The keys of the tenant's bookings, as the scripts want them."""
    return [keys.held(tenant), keys.books(tenant)]


async def hold(
    client: Redis, tenant: str, sizes: Mapping[str, int], ttl: timedelta, quota: int
) -> None:
    """Book bytes against the tenant's input quota until `ttl` from now, each with its OVERHEAD; the same name
    counts once.

    Raises OverLimit when the quota does not allow it; then nothing is booked.
    """
    await _hold(client, tenant, sizes, ttl, quota, book=True)


@asynccontextmanager
async def holding(
    client: Redis, tenant: str, sizes: Mapping[str, int], ttl: timedelta, quota: int
) -> AsyncGenerator[None, None]:
    """`hold` for what is written inside: should that fail, what was not booked before is not any more."""
    fresh = await _hold(client, tenant, sizes, ttl, quota, book=True)
    try:
        yield
    except BaseException:
        await unbook(client, tenant, fresh)
        raise


async def note(client: Redis, tenant: str, name: str, size: int, ttl: timedelta) -> None:
    """Book bytes, with their OVERHEAD, whatever the quota: for what a GET makes of a job that is booked."""
    expiry = await now(client) + ttl.total_seconds()
    args = [name, size + OVERHEAD, expiry]
    await client.register_script(NOTE)(keys=books_of(tenant), args=args)


async def check_quota(client: Redis, tenant: str, sizes: Mapping[str, int], quota: int) -> None:
    """Raises OverLimit when `hold` would; nothing is booked."""
    await _hold(client, tenant, sizes, timedelta(), quota, book=False)


async def unbook(client: Redis, tenant: str, names: Iterable[str | bytes]) -> None:
    """What was booked under these names is not any more."""
    await client.register_script(UNBOOK)(keys=books_of(tenant), args=[*names])


async def renew(client: Redis, tenant: str, names: Iterable[str], expiry: float) -> None:
    """What is booked under these names stays so until `expiry` (seconds on the server's clock)."""
    await client.register_script(RENEW)(keys=books_of(tenant), args=[expiry, *names])


async def _hold(
    client: Redis, tenant: str, sizes: Mapping[str, int], ttl: timedelta, quota: int, *, book: bool
) -> list[bytes]:
    """What was not booked before, and is now."""
    moment = await now(client)
    fields = [item for name, size in sizes.items() for item in (name, size + OVERHEAD)]
    args = [moment, quota, moment + ttl.total_seconds(), int(book), LAPSES, *fields]
    script, fits, rest = client.register_script(HOLD), -1, []
    while fits < 0:
        fits, *rest = await script(keys=books_of(tenant), args=args)
    if not fits:
        raise over_quota(quota, rest[0])
    return rest[1] if book else []


def over_quota(quota: int, total: int) -> OverLimit:
    """The refusal of what would make the tenant's bookings `total` bytes."""
    return OverLimit(
        "max_input_bytes",
        quota,
        total,
        f"inputs, datasets and jobs kept for this tenant would take {total} bytes, and {quota} are allowed;"
        " delete jobs or datasets, or wait until they expire",
    )
