"""Every knob of the service, read from the environment once, and every limit in force."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from service.environment import MOST, check_address, read_value, refuse_misspelt
from service.errors import StartError

MIB = 1 << 20
GIB = 1 << 30


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Where the embedded service keeps its stores: `$XDG_DATA_HOME/gramd` or `~/.local/share/gramd`."""
    base = environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "gramd"


@dataclass(frozen=True)
class Settings:
    """Settings of one process; `from_env` reads them, the supervisor hands them to its children.

    Sizes are bytes and durations are timedelta. The comment of a field that is a limit says what
    its default rests on; `limits()` is what `GET /v1/limits` answers.
    """

    # Redis A (queue, records, inputs) and Redis B (tiles); None until the embedded servers are up.
    redis_url: str | None = None
    tiles_url: str | None = None
    data_dir: Path = field(default_factory=lambda: default_data_dir(os.environ))
    # Where compiled programs are kept between runs of the workers; None: nowhere.
    compile_dir: Path | None = None
    workers: int = 1
    log_level: str = "INFO"
    # json, console, or auto: columns on a terminal and JSON elsewhere.
    log_format: str = "auto"
    # Answer requests without a key on any address, as long as no key was made.
    insecure_open: bool = False

    # One request's body: comfortably the largest worked example (1,000 x 492 x 50 float32, 98 MB).
    max_body_bytes: int = 256 * MIB
    # Bodies of all requests that one API process is reading: what it may hold in memory of them. One
    # tenant gets half (service.http.body_room).
    max_reading_bytes: int = 1 * GIB
    # Job inputs, plans of jobs and datasets of one tenant in Redis A, which evicts nothing.
    max_input_bytes: int = 2 * GIB
    # Rows on one side of a matrix, and tiles of one job: what one plan and record hold in memory.
    max_rows: int = 200_000
    max_tiles: int = 200_000
    max_unfinished_jobs: int = 1_000
    # Requests of one tenant: somewhat less than one API process can answer, after a burst of ten
    # seconds' worth.
    max_requests_per_s: int = 300
    max_request_burst: int = 3_000
    # Answers of one tenant that are waited for or sent at the same time; each holds a connection to
    # the client and one to Redis.
    max_open_requests: int = 500
    # width * heads * samples of an estimate: four times the method's defaults, whose tiles can take
    # minutes on a CPU.
    max_monte_carlo_work: int = 1 << 22
    # Training rows of a prediction, and the side of any other matrix that one worker holds whole: in
    # float64 such a matrix takes 200 MB, and a factorisation holds up to five of them.
    max_prediction_rows: int = 5_000
    # Longest that a request may ask to be kept waiting (Prefer: wait).
    max_wait: timedelta = timedelta(seconds=60)

    job_ttl: timedelta = timedelta(hours=24)
    tile_ttl: timedelta = timedelta(days=7)
    dataset_ttl: timedelta = timedelta(days=7)
    # A dataset that is filled in parts has this long from its beginning until it is sealed.
    upload_ttl: timedelta = timedelta(hours=24)

    # A worker that does not renew its lease for this long is taken for dead.
    lease: timedelta = timedelta(seconds=15)
    tile_deadline: timedelta = timedelta(minutes=10)
    max_deliveries: int = 3
    # How long a worker told to stop may spend on the tiles it has begun.
    grace: timedelta = timedelta(seconds=10)
    sweep_interval: timedelta = timedelta(seconds=3)
    # Rows that a worker keeps at hand so that a row of tiles is fetched once.
    worker_cache_bytes: int = 256 * MIB
    # What a worker's tiles and one-input results may take together, as kernels/plan/memory.py counts.
    worker_memory_bytes: int = 4 * GIB

    # Where results go that the tile store could not keep: s3://, gs://, az:// or file://; "": nowhere.
    results_url: str = ""
    # One such result; a float32 matrix of 120,000 rows.
    max_stored_result_bytes: int = 64 * GIB
    # All such results of one tenant: a few of the largest.
    max_stored_bytes: int = 256 * GIB

    # Ceilings of the embedded stores; a server of one's own has its own maxmemory. The queue's has room for
    # two tenants at their quota (max_input_bytes): it evicts nothing, and without a ceiling takes the machine's
    # memory.
    queue_bytes: int = 4 * GIB
    tiles_bytes: int = 2 * GIB

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from REDIS_URL, TILES_URL and GRAMD_* variables.

        Raises StartError for a value that is not what its name calls for, for a name that is almost
        one of these, and for REDIS_URL without TILES_URL: the two stores need different eviction
        policies, so they are two servers.
        """
        redis_url, tiles_url = environ.get("REDIS_URL") or None, environ.get("TILES_URL") or None
        if (redis_url is None) != (tiles_url is None):
            given, missing = ("REDIS_URL", "TILES_URL") if redis_url else ("TILES_URL", "REDIS_URL")
            raise StartError(
                f"{given} is set and {missing} is not: set both (REDIS_URL: queue, records and "
                "inputs, maxmemory-policy noeviction; TILES_URL: a second server for tiles, "
                "maxmemory-policy allkeys-lru), or neither to use the embedded servers"
            )
        for variable, url in (("REDIS_URL", redis_url), ("TILES_URL", tiles_url)):
            if url is not None:
                check_address(variable, url)
        refuse_misspelt(environ, VARIABLES.values())
        changes: dict[str, Any] = {"redis_url": redis_url, "tiles_url": tiles_url}
        defaults = cls()
        for name, variable in VARIABLES.items():
            text = environ.get(variable)
            if text:
                bounds = BOUNDS.get(name, (1, MOST))
                changes[name] = read_value(variable, text, getattr(defaults, name), bounds)
        settings = replace(defaults, **changes)
        if settings.max_reading_bytes < 2 * settings.max_body_bytes:
            # One tenant gets half of it, in which one body must have room.
            raise StartError("GRAMD_MAX_READING_BYTES must be at least twice GRAMD_MAX_BODY_BYTES")
        return settings

    def require_stores(self) -> tuple[str, str]:
        """The addresses of both stores; raises StartError where they are not set."""
        if self.redis_url is None or self.tiles_url is None:
            raise StartError(
                "REDIS_URL and TILES_URL are not set; `python -m service serve` starts embedded "
                "servers and sets them for its children"
            )
        return self.redis_url, self.tiles_url

    def to_env(self) -> dict[str, str]:
        """The variables that make a child process read these very settings."""
        defaults = Settings()
        environ = {"REDIS_URL": self.redis_url or "", "TILES_URL": self.tiles_url or ""}
        for name, variable in VARIABLES.items():
            value = getattr(self, name)
            if value is None or (value == getattr(defaults, name) and name != "data_dir"):
                continue
            environ[variable] = (
                str(value.total_seconds()) if isinstance(value, timedelta) else str(value)
            )
        return environ

    def limits(self) -> dict[str, int | float]:
        """Every limit in force, by the name that problem documents use for it."""
        return {
            "max_body_bytes": self.max_body_bytes,
            "max_reading_bytes": self.max_reading_bytes,
            "max_input_bytes": self.max_input_bytes,
            "max_rows": self.max_rows,
            "max_tiles": self.max_tiles,
            "max_unfinished_jobs": self.max_unfinished_jobs,
            "max_requests_per_s": self.max_requests_per_s,
            "max_request_burst": self.max_request_burst,
            "max_open_requests": self.max_open_requests,
            "max_monte_carlo_work": self.max_monte_carlo_work,
            "max_prediction_rows": self.max_prediction_rows,
            "max_wait_s": self.max_wait.total_seconds(),
            "job_ttl_s": self.job_ttl.total_seconds(),
            "tile_ttl_s": self.tile_ttl.total_seconds(),
            "dataset_ttl_s": self.dataset_ttl.total_seconds(),
            "upload_ttl_s": self.upload_ttl.total_seconds(),
            "tile_deadline_s": self.tile_deadline.total_seconds(),
            "max_deliveries": self.max_deliveries,
        }


VARIABLES = {
    "data_dir": "GRAMD_DATA_DIR",
    "compile_dir": "GRAMD_COMPILE_DIR",
    "workers": "GRAMD_WORKERS",
    "log_level": "GRAMD_LOG_LEVEL",
    "log_format": "GRAMD_LOG_FORMAT",
    "insecure_open": "GRAMD_INSECURE_OPEN",
    "max_body_bytes": "GRAMD_MAX_BODY_BYTES",
    "max_reading_bytes": "GRAMD_MAX_READING_BYTES",
    "max_input_bytes": "GRAMD_MAX_INPUT_BYTES",
    "max_rows": "GRAMD_MAX_ROWS",
    "max_tiles": "GRAMD_MAX_TILES",
    "max_unfinished_jobs": "GRAMD_MAX_UNFINISHED_JOBS",
    "max_requests_per_s": "GRAMD_MAX_REQUESTS_PER_S",
    "max_request_burst": "GRAMD_MAX_REQUEST_BURST",
    "max_open_requests": "GRAMD_MAX_OPEN_REQUESTS",
    "max_monte_carlo_work": "GRAMD_MAX_MONTE_CARLO_WORK",
    "max_prediction_rows": "GRAMD_MAX_PREDICTION_ROWS",
    "max_wait": "GRAMD_MAX_WAIT_S",
    "job_ttl": "GRAMD_JOB_TTL_S",
    "tile_ttl": "GRAMD_TILE_TTL_S",
    "dataset_ttl": "GRAMD_DATASET_TTL_S",
    "upload_ttl": "GRAMD_UPLOAD_TTL_S",
    "lease": "GRAMD_LEASE_S",
    "tile_deadline": "GRAMD_TILE_DEADLINE_S",
    "max_deliveries": "GRAMD_MAX_DELIVERIES",
    "grace": "GRAMD_GRACE_S",
    "sweep_interval": "GRAMD_SWEEP_INTERVAL_S",
    "worker_cache_bytes": "GRAMD_WORKER_CACHE_BYTES",
    "results_url": "GRAMD_RESULTS_URL",
    "max_stored_result_bytes": "GRAMD_MAX_STORED_RESULT_BYTES",
    "max_stored_bytes": "GRAMD_MAX_STORED_BYTES",
    "worker_memory_bytes": "GRAMD_WORKER_MEMORY_BYTES",
    "queue_bytes": "GRAMD_QUEUE_BYTES",
    "tiles_bytes": "GRAMD_TILES_BYTES",
}

# Whole numbers that have bounds of their own, both included.
BOUNDS = {
    # Each is a process.
    "workers": (1, 256),
    # A store that cannot hold the tiles of one small job computes them again and again.
    "tiles_bytes": (16 * MIB, MOST),
    "queue_bytes": (16 * MIB, MOST),
    # The upper one is Redis's limit for one value (proto-max-bulk-len).
    "max_body_bytes": (1, 512 * MIB - 1),
}
