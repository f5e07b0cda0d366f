"""What can go wrong between a request and its matrix, placed on the way it takes.

    request -> Jobs.create   OverLimit           a quota or ceiling, named with its value
            -> Jobs.get      UnknownJob          no such job for this tenant
    dataset -> get, load     UnknownDataset      no such dataset for this tenant
            -> fill          UploadClosed        it takes no more parts
            -> seal          PartsMissing        it cannot be sealed yet
    results -> ensure_tiles  TilesMissing        tiles are being computed again; come back later
            -> read          ResultStoreAway     the object store does not answer as it should
                             ResultStoreClosed   it never will, until an operator does something
    task    -> Shelf         InputsGone          what it was to be computed of has expired
            -> Tiler         PastDeadline        it was stopped: it took too long
            -> KernelValues  Evicted             a tile left between looking and reading; look again
            -> Maker         NoRoom              that happened too often
    start   -> serve, worker StartError          a port, directory, lock or address that cannot be used

    ServiceError
    |-- OverLimit
    |    |-- TooMuch
    |    `-- TooMany
    |-- UnknownJob
    |-- UnknownDataset
    |-- UploadClosed
    |-- PartsMissing
    |-- TilesMissing
    |-- ResultStoreAway
    |    `-- ResultStoreClosed
    |-- TaskError
    |    |-- InputsGone
    |    |-- PastDeadline
    |    |-- Evicted
    |    `-- NoRoom
    `-- StartError

`service.http.problems` turns all but the last two branches into problem documents. A TaskError is raised and
caught in a worker, and its words stand in the record of the job that fails; `service.__main__` prints a
StartError.
"""


class ServiceError(Exception):
    """The root of the service's own errors; `str(error)` is the detail shown to the caller."""


class OverLimit(ServiceError):
    """A limit was hit: there is no room to keep what this would need.

    Arguments: limit, its name as in `GET /v1/limits`; value, what it is set to; actual, what the
    request would have needed; detail, a sentence for the caller.
    """

    def __init__(self, limit: str, value: int | float, actual: int | float, detail: str) -> None:
        super().__init__(detail)
        self.limit = limit
        self.value = value
        self.actual = actual
        self.detail = detail


class TooMuch(OverLimit):
    """One request asks for more than any may, however much room there is."""


class TooMany(OverLimit):
    """The tenant has too many under way, or asks too fast; `retry_after` seconds from now it may be
    worth another try."""

    def __init__(
        self,
        limit: str,
        value: int | float,
        actual: int | float,
        detail: str,
        *,
        retry_after: float = 5,
    ) -> None:
        super().__init__(limit, value, actual, detail)
        self.retry_after = retry_after


class UnknownJob(ServiceError):
    """The tenant has no job of this id (never had, deleted it, or it expired long ago)."""

    def __init__(self, job_id: str, kind: str = "kernel job") -> None:
        super().__init__(f"no {kind} {job_id!r}; it may have been deleted or have expired")
        self.job_id = job_id


class UnknownDataset(ServiceError):
    """The tenant has no dataset of this id."""

    def __init__(self, dataset_id: str) -> None:
        super().__init__(
            f"no dataset {dataset_id!r}; it may be open still (sealing it answers its id), have been "
            "deleted or have expired"
        )
        self.dataset_id = dataset_id


class UploadClosed(ServiceError):
    """An open dataset is being sealed, or is sealed: its parts can no longer change."""

    def __init__(self, upload_id: str, state: str) -> None:
        word = "being sealed; PATCH it again" if state == "sealing" else "sealed"
        super().__init__(f"{upload_id} is {word}; it takes no more parts")


class PartsMissing(ServiceError):
    """An open dataset cannot be sealed while `parts` are not there."""

    def __init__(self, parts: list[int]) -> None:
        shown = ", ".join(map(str, parts[:20])) + (", ..." if len(parts) > 20 else "")
        super().__init__(f"{len(parts)} parts are missing: {shown}; PUT them first")
        self.parts = parts


class TilesMissing(ServiceError):
    """Tiles of a finished job were evicted: they are being computed again, or will be when they are
    asked for once more."""

    def __init__(self, missing: int, *, retry_after: int = 2) -> None:
        super().__init__(
            f"{missing} tiles left the cache and are being computed again; "
            f"ask again in {retry_after} s"
        )
        self.retry_after = retry_after
        self.missing = missing


class ResultStoreAway(ServiceError):
    """The object store that keeps large results cannot be used; the message says why."""


class ResultStoreClosed(ResultStoreAway):
    """It is not a matter of time: credentials, a bucket or GRAMD_RESULTS_URL are not right."""


class TaskError(ServiceError):
    """A task cannot be done as it is: a worker's affair, never that of a request."""


class InputsGone(TaskError):
    """The rows or the architecture of a tile, or what an answer is made of, are no longer stored."""


class PastDeadline(TaskError):
    """A task was stopped after the `seconds` that it may take; `tile` says whether it is a tile."""

    def __init__(self, seconds: float, *, tile: bool) -> None:
        smaller = (
            "a tile of this job was stopped after {} s (tile_deadline_s): make the network or the "
            "inputs smaller, or width, heads or samples of an estimate"
            if tile
            else "this was stopped after {} s (tile_deadline_s): ask for fewer rows"
        )
        super().__init__(smaller.format(f"{seconds:g}") + ", or raise GRAMD_TILE_DEADLINE_S")


class Evicted(TaskError):
    """Something that was there a moment ago has left the tile store."""


class NoRoom(TaskError):
    """The tile store cannot hold what an answer is made of for as long as it takes; `times` is how
    often that was found."""

    def __init__(self, times: int) -> None:
        super().__init__(
            f"the kernels that this is made of were evicted {times} times before they "
            "could be read: the tile store is too small for them; raise its maxmemory "
            "(GRAMD_TILES_BYTES), ask for float32 or for fewer rows"
        )


class StartError(ServiceError):
    """A process of the service cannot start; the message says why and what to do."""
