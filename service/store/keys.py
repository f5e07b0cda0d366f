"""Every Redis name of the project, with its lifetime.

Redis A (REDIS_URL), which evicts nothing. `JOB` is `tenant:id`, `TILE` is `tenant:digest`:

    gramd:secret:{tenant}            key of the tenant's digests                       permanent
    gramd:job:JOB                    hash, the record: see `store.job_fields`          job, + TOMBSTONE
    gramd:job:JOB:layout             tile plan and digests                             job
    gramd:job:JOB:pending            list of tiles not yet asked for                   job
    gramd:job:JOB:asked              hash tile digest -> index, asked for, unfinished  job
    gramd:job:JOB:done               set of finished tile indices                      job
    gramd:job:JOB:events             stream of progress and state                      job
    gramd:job:JOB:awaits             set of the kernel jobs that an answer waits for   job
    gramd:job:JOB:dependents         set of the answers that a kernel job is for       job
    gramd:job:JOB:tokens             sorted set, digests of tokens in paths -> their end path_tokens.LIFETIME
    gramd:jobs:{tenant}              sorted set of kernel job ids                      job
    gramd:predictions:{tenant}       sorted set of prediction ids                      job
    gramd:live                       sorted set JOB -> when its lifetimes were renewed permanent, empties
    gramd:architecture:{tenant}:D    canonical JSON                                    job
    gramd:rows:{tenant}:D            the rows of one group                             job
    gramd:users:{tenant}:D           set of the jobs that need these rows or network    job
    gramd:held:{tenant}              sorted set of what is booked -> its end (quota)   job / dataset
    gramd:books:{tenant}             hash of the same -> bytes; "total" -> their sum   job / dataset
    gramd:dataset:{tenant}:ID        shape, dtype, digest, where its pieces are        dataset
    gramd:dataset:{tenant}:STORED:K  piece K of what was stored under that name        dataset
    gramd:upload:{tenant}:ID         hash, an open dataset and which parts are there   upload
    gramd:upload:{tenant}:ID:mask:K  bits of part K's mask                             upload
    gramd:incoming:{tenant}:N        a part that has not found its place yet           INCOMING
    gramd:made:{tenant}:ID           set of the tiles made from a dataset (raw digests) dataset
    gramd:idempotency:{tenant}:D     hash, an Idempotency-Key: its body and resource   idempotency.KEPT
    gramd:idempotency:{tenant}:D:C   claim C on it is being worked on                  idempotency.LEASE
    gramd:path_token:D               the job that a token in a path is for             path_tokens.LIFETIME
    gramd:pace:KIND                  hash, how fast tiles are on a kind of device      PACE
    gramd:pace:{tenant}:D:KIND       hash, the same of one network                     PACE
    gramd:waiters:TILE               hash JOB -> tile index: who waits for a tile      job
    gramd:deliveries:TILE            how often a tile was begun                        DELIVERIES
    gramd:ring                       sorted set JOB -> turn: jobs with pending tiles   permanent, empties
    gramd:aside                      sorted set JOB -> when its turn may come again    permanent, empties
    gramd:turn                       the last turn given out                           permanent
    gramd:inflight                   hash TILE -> its task and first asker             permanent, empties
    gramd:spared                     set of those TILEs that took a spare place        permanent, empties
    gramd:workers                    hash worker -> what it is and when it was seen    permanent, pruned
    gramd:bucket:{tenant}            hash, tokens left for requests and since when     until it is full
    gramd:places:{tenant}            sorted set of open responses -> when each ends    PLACE
    gramd:far:due                    sorted set TILE in the object store -> its end    permanent, pruned
    gramd:far:whole                  sorted set of those complete -> the same          permanent, pruned
    gramd:far:sizes                  hash TILE -> its bytes in the object store        permanent, pruned
    gramd:far:totals                 hash tenant -> the bytes of all its tiles there   permanent, pruned
    gramd:far:jobs:{tenant}          hash, jobs with tiles there -> bytes to come      job, + TOMBSTONE
    gramd:tallies                    hash, counts for /metrics                         permanent
    gramd:api_keys                   hash key id -> its record, the secret hashed      permanent
    gramd:api_keys:revoked           hash key id -> when it was revoked                permanent
    gramd:announced                  channel: every event of every job, as it is written no key
    gramd-tiles:*, gramd-spare-tiles:*
                                     Docket's own (Redis Streams, run records)         Docket's

Redis B (TILES_URL), which evicts the least recently used:

    gramd:tile:{tenant}:D            hash output -> raw values, "meta" -> JSON         tile
                                     (a tile; a stripe of an answer's array; one of a factor)

The object store (GRAMD_RESULTS_URL) has TENANT/TILE/OUTPUT, see `far_tiles`.
"""

import secrets
from datetime import timedelta

DOCKET = "gramd-tiles"
SPARE_DOCKET = "gramd-spare-tiles"

LIVE = "gramd:live"
RING = "gramd:ring"
ASIDE = "gramd:aside"
TURN = "gramd:turn"
INFLIGHT = "gramd:inflight"
SPARED = "gramd:spared"
WORKERS = "gramd:workers"
FAR_DUE = "gramd:far:due"
FAR_WHOLE = "gramd:far:whole"
FAR_SIZES = "gramd:far:sizes"
FAR_TOTALS = "gramd:far:totals"
TALLIES = "gramd:tallies"
API_KEYS = "gramd:api_keys"
REVOKED_KEYS = "gramd:api_keys:revoked"
# A channel of Redis's pub/sub, not a key.
ANNOUNCED = "gramd:announced"

JOB_PREFIX = "gramd:job:"
WAITERS_PREFIX = "gramd:waiters:"
DELIVERIES_PREFIX = "gramd:deliveries:"
PATHS_PREFIX = "gramd:path_token:"

# Begins the names of fields of a job: see `store.job_fields`.
ERROR_ESTIMATE = "error_estimate:"

# A record outlives its data by this much, so that a late reader learns "expired", not "unknown".
TOMBSTONE = timedelta(days=1)
# Long enough to span a few leases and deadlines; a tile that succeeds drops its count at once.
DELIVERIES = timedelta(hours=6)
# Docket keeps a finished run's record for this long; the state that matters is ours.
EXECUTIONS = timedelta(minutes=2)
# A part is in its place a moment after it was written.
INCOMING = timedelta(minutes=10)
# What is measured of workers is of use while they are what they were.
PACE = timedelta(days=7)
# A worker unseen for this long no longer counts as alive.
WORKER_SEEN = timedelta(seconds=10)
# Events kept per job: enough for a reader that comes back with Last-Event-ID.
EVENTS_KEPT = 1_000

# Glob patterns of the names that may lack a TTL; everything else must have one.
PERMANENT = (
    "gramd:secret:*",
    LIVE,
    RING,
    ASIDE,
    TURN,
    INFLIGHT,
    SPARED,
    WORKERS,
    FAR_DUE,
    FAR_WHOLE,
    FAR_SIZES,
    FAR_TOTALS,
    TALLIES,
    API_KEYS,
    REVOKED_KEYS,
    f"{DOCKET}:*",
    f"{SPARE_DOCKET}:*",
)


def secret(tenant: str) -> str:
    return f"gramd:secret:{tenant}"


def job(ref: str, part: str = "") -> str:
    """A job's key: the record, or one of its parts (`JOB_PARTS`)."""
    return f"{JOB_PREFIX}{ref}:{part}" if part else f"{JOB_PREFIX}{ref}"


# The first letters of ids; a kernel's diagnostics and preview have its id behind one of theirs.
KERNEL, PREDICTION, DIAGNOSTICS, PREVIEW = "k", "p", "d", "v"
EXAMINATIONS = DIAGNOSTICS, PREVIEW
JOB_PARTS = ("layout", "pending", "asked", "done", "events", "awaits", "dependents", "tokens")


def jobs(tenant: str) -> str:
    return f"gramd:jobs:{tenant}"


def predictions(tenant: str) -> str:
    return f"gramd:predictions:{tenant}"


def listing(ref: str) -> str:
    """The list that a job stands on, by the first letter of its id."""
    tenant, job_id = split(ref)
    return predictions(tenant) if job_id.startswith(PREDICTION) else jobs(tenant)


def architecture(tenant: str, digest: str) -> str:
    return f"gramd:architecture:{tenant}:{digest}"


def rows(tenant: str, digest: str) -> str:
    return f"gramd:rows:{tenant}:{digest}"


def users(tenant: str, digest: str) -> str:
    return f"gramd:users:{tenant}:{digest}"


def held(tenant: str) -> str:
    return f"gramd:held:{tenant}"


def books(tenant: str) -> str:
    return f"gramd:books:{tenant}"


def dataset(tenant: str, dataset_id: str) -> str:
    return f"gramd:dataset:{tenant}:{dataset_id}"


def piece(tenant: str, stored: str, number: int | str) -> str:
    """One piece of a dataset; `stored` is unique to one upload, so that none is overwritten."""
    return f"gramd:dataset:{tenant}:{stored}:{number}"


def upload(tenant: str, upload_id: str) -> str:
    return f"gramd:upload:{tenant}:{upload_id}"


def upload_mask(tenant: str, upload_id: str, part: int | str) -> str:
    return f"gramd:upload:{tenant}:{upload_id}:mask:{part}"


def incoming(tenant: str, number: str) -> str:
    return f"gramd:incoming:{tenant}:{number}"


def idempotency(tenant: str, key_digest: str) -> str:
    return f"gramd:idempotency:{tenant}:{key_digest}"


def claim(name: str, number: str) -> str:
    """A claim on an idempotency key."""
    return f"{name}:{number}"


def path_token(token_digest: str) -> str:
    return f"{PATHS_PREFIX}{token_digest}"


def pace(kind: str) -> str:
    return f"gramd:pace:{kind}"


def network_pace(tenant: str, architecture: str, kind: str) -> str:
    return f"gramd:pace:{tenant}:{architecture}:{kind}"


def made(tenant: str, dataset_id: str) -> str:
    return f"gramd:made:{tenant}:{dataset_id}"


def far_jobs(tenant: str) -> str:
    return f"gramd:far:jobs:{tenant}"


def bucket(tenant: str) -> str:
    return f"gramd:bucket:{tenant}"


def places(tenant: str) -> str:
    return f"gramd:places:{tenant}"


def waiters(tile: str) -> str:
    return f"{WAITERS_PREFIX}{tile}"


def deliveries(tile: str) -> str:
    return f"{DELIVERIES_PREFIX}{tile}"


def tile(tenant: str, digest: str) -> str:
    return f"gramd:tile:{tenant}:{digest}"


def new_id(letter: str, moment: float) -> str:
    """An id of a new job or prediction; ids begin with their time, so that sorting them sorts by age."""
    return f"{letter}{int(moment * 1000):012x}{secrets.token_hex(8)}"


def ref(tenant: str, name: str) -> str:
    """`tenant:name`: how a job or a tile is named across tenants."""
    return f"{tenant}:{name}"


def split(reference: str) -> tuple[str, str]:
    """The tenant and the name of a reference."""
    tenant, _, name = reference.partition(":")
    return tenant, name
