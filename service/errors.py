"""What can go wrong between a request and its matrix, placed on the way it takes.

    request -> Jobs.create   OverLimit           a quota or ceiling, named with its value
            -> Jobs.get      UnknownJob          no such job for this tenant
    dataset -> get, load     UnknownDataset      no such dataset for this tenant
            -> fill          UploadClosed        it takes no more parts
            -> seal          PartsMissing        it cannot be sealed yet
    results -> ensure_tiles  TilesMissing        tiles are being computed again; come back later
            -> read          ResultStoreAway     the object store does not answer as it should
                             ResultStoreClosed   it never will, until an operator does something
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
    `-- StartError

`service.http.problems` turns all but the last into problem documents; `service.__main__` prints the last.
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


class StartError(ServiceError):
    """A process of the service cannot start; the message says why and what to do."""
