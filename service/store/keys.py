"""Every Redis name of the project, with its lifetime.

Redis A (REDIS_URL), which evicts nothing. `JOB` is `tenant:id`, `TILE` is `tenant:digest`:

    gramd:secret:{tenant}            key of the tenant's digests                       permanent
    gramd:job:JOB                    hash, the record, values in JSON                  job, + TOMBSTONE
    gramd:job:JOB:layout             tile plan and digests                             job
    gramd:job:JOB:pending            list of tiles not yet asked for                   job
    gramd:job:JOB:asked              hash tile digest -> index, asked for, unfinished  job
    gramd:job:JOB:done               set of finished tile indices                      job
    gramd:job:JOB:events             stream of progress and state                      job
    gramd:job:JOB:awaits             set of the kernel jobs that an answer waits for   job
    gramd:job:JOB:dependents         set of the answers that wait for a kernel job     job
    gramd:jobs:{tenant}              sorted set of kernel job ids                      job
    gramd:predictions:{tenant}       sorted set of prediction ids                      job
    gramd:live                       sorted set JOB -> when its lifetimes were renewed permanent, empties
    gramd:architecture:{tenant}:D    canonical JSON                                    job
    gramd:rows:{tenant}:D            the rows of one group                             job
    gramd:users:{tenant}:D           set of the jobs that need these rows              job
    gramd:held:{tenant}              sorted set "name|bytes" -> expiry (input quota)   job / dataset
    gramd:dataset:{tenant}:ID        hash, shape, dtype, digests, number of pieces     dataset
    gramd:dataset:{tenant}:ID:K      piece K of a dataset                              dataset
    gramd:made:{tenant}:ID           set of the tiles made from a dataset (raw digests) dataset
    gramd:waiters:TILE               hash JOB -> tile index: who waits for a tile      job
    gramd:deliveries:TILE            how often a tile was begun                        DELIVERIES
    gramd:ring                       sorted set JOB -> turn: jobs with pending tiles   permanent, empties
    gramd:turn                       the last turn given out                           permanent
    gramd:inflight                   hash TILE -> its task and first asker             permanent, empties
    gramd:workers                    hash worker -> what it is and when it was seen    permanent, pruned
    gramd-tiles:*                    Docket's own (Redis Streams, run records)         Docket's

Redis B (TILES_URL), which evicts the least recently used:

    gramd:tile:{tenant}:D            hash output -> raw values, "meta" -> JSON         tile
                                     (a tile; a stripe of an answer's array; one of a factor)
"""

from datetime import timedelta

DOCKET = "gramd-tiles"

LIVE = "gramd:live"
RING = "gramd:ring"
TURN = "gramd:turn"
INFLIGHT = "gramd:inflight"
WORKERS = "gramd:workers"

JOB_PREFIX = "gramd:job:"
WAITERS_PREFIX = "gramd:waiters:"
DELIVERIES_PREFIX = "gramd:deliveries:"

# A job record has a field for each error that is estimated, so that a script can raise one alone.
ERROR_ESTIMATE = "error_estimate:"

# A record outlives its data by this much, so that a late reader learns "expired", not "unknown".
TOMBSTONE = timedelta(days=1)
# Long enough to span a few leases and deadlines; a tile that succeeds drops its count at once.
DELIVERIES = timedelta(hours=6)
# Docket keeps a finished run's record for this long; the state that matters is ours.
EXECUTIONS = timedelta(minutes=2)
# A worker unseen for this long no longer counts as alive.
WORKER_SEEN = timedelta(seconds=10)
# Events kept per job: enough for a reader that comes back with Last-Event-ID.
EVENTS_KEPT = 1_000

# Glob patterns of the names that may lack a TTL; everything else must have one.
PERMANENT = (
    "gramd:secret:*",
    LIVE,
    RING,
    TURN,
    INFLIGHT,
    WORKERS,
    f"{DOCKET}:*",
)


def secret(tenant: str) -> str:
    return f"gramd:secret:{tenant}"


def job(ref: str, part: str = "") -> str:
    """A job's key: the record, or one of its parts (`JOB_PARTS`)."""
    return f"{JOB_PREFIX}{ref}:{part}" if part else f"{JOB_PREFIX}{ref}"


# The first letters of ids; a kernel's diagnostics and preview have its id behind one of theirs.
KERNEL, PREDICTION, DIAGNOSTICS, PREVIEW = "k", "p", "d", "v"
JOB_PARTS = ("layout", "pending", "asked", "done", "events", "awaits", "dependents")


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


def dataset(tenant: str, dataset_id: str, piece: int | None = None) -> str:
    name = f"gramd:dataset:{tenant}:{dataset_id}"
    return name if piece is None else f"{name}:{piece}"


def made(tenant: str, dataset_id: str) -> str:
    return f"gramd:made:{tenant}:{dataset_id}"


def waiters(tile: str) -> str:
    return f"{WAITERS_PREFIX}{tile}"


def deliveries(tile: str) -> str:
    return f"{DELIVERIES_PREFIX}{tile}"


def tile(tenant: str, digest: str) -> str:
    return f"gramd:tile:{tenant}:{digest}"


def ref(tenant: str, name: str) -> str:
    """`tenant:name`: how a job or a tile is named across tenants."""
    return f"{tenant}:{name}"


def split(reference: str) -> tuple[str, str]:
    """The tenant and the name of a reference."""
    tenant, _, name = reference.partition(":")
    return tenant, name
