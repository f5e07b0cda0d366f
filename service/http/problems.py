"""Everything that can go wrong in a request, and the one table from error to status.

Each becomes one RFC 9457 document (`application/problem+json`); those that a job ends with, in its
record, are in `service.problem_kinds`.

    Exception
     +-- Problem                     raised by the HTTP code itself
     |    +-- MalformedRequest       400  not JSON, not multipart, not what Content-Length said
     |    +-- Unauthorized           401  no key, or none that is known (WWW-Authenticate)
     |    +-- Forbidden              403  a key that does not open this
     |    +-- UnknownResource        404  no such path
     |    +-- MethodNotAllowed       405  the path knows other methods (Allow)
     |    +-- NotAcceptable          406  no representation that Accept admits
     |    +-- SlowRequest            408  the body stopped coming
     |    +-- Pending                409  rows that are not finished yet (Retry-After)
     |    +-- Unavailable            409  rows that will not be: the job failed or was cancelled
     |    +-- Conflict               409  a change of state that the job's state does not allow
     |    +-- Gone                   410  the job's results have expired
     |    +-- PreconditionFailed     412  another ETag than If-Match asks for
     |    +-- TooLarge               413  a size limit, named with its value
     |    +-- UnsupportedMedia       415  a content type or coding that is not read here
     |    +-- RangeNotSatisfiable    416  a byte range behind the end
     |    +-- Busy                   503  too many bytes of bodies are being read (Retry-After)
     |    +-- NotReady               503  readiness: what is wrong with the stores and workers
     |    +-- InvalidRequest         422  understood, but wrong, with a pointer
     |         +-- InvalidArchitecture, InvalidInput   what kernels refused, pointer included
     +-- KernelError                 422  the same from a place that knows no body
     +-- UnknownJob, UnknownDataset  404
     +-- UploadClosed, PartsMissing  409  an open dataset that cannot be filled or sealed now
     +-- OverLimit                   507  no room to keep it
     |    +-- TooMuch                413  more than one request may ask for
     |    +-- TooMany                429  more at a time than one tenant may (Retry-After)
     +-- TilesMissing                503  evicted results are being computed again (Retry-After)
     +-- ResultStoreAway             503  the object store of large results cannot be used
     +-- RedisError                  503  the store cannot be reached
     +-- anything else               500  our fault: the log has the traceback under the request id
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import RedisError

from kernels.errors import KernelError
from service.errors import (
    OverLimit,
    PartsMissing,
    ResultStoreAway,
    TilesMissing,
    TooMany,
    TooMuch,
    UnknownDataset,
    UnknownJob,
    UploadClosed,
)
from service.problem_kinds import Kind

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An error that says what was expected, what came and what to do.

    detail: that sentence. pointer: RFC 6901, into the body. parameter: the query parameter or
    header at fault. limit, actual: the limit that was hit and what came. headers: for the response.
    also: further members.
    """

    def __init__(
        self,
        detail: str,
        *,
        pointer: str | None = None,
        parameter: str | None = None,
        limit: int | float | None = None,
        actual: int | float | None = None,
        headers: dict[str, str] | None = None,
        also: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.actual = actual
        self.headers = headers or {}
        members = {"pointer": pointer, "parameter": parameter, "limit": limit, "actual": actual}
        self.members = {name: value for name, value in members.items() if value is not None} | (
            also or {}
        )


class MalformedRequest(Problem):
    """The bytes are not what their content type or length says."""


class Unauthorized(Problem):
    """The service asks for a key, and none that it knows came."""


class Forbidden(Problem):
    """The key is valid and opens something else."""


class UnknownResource(Problem):
    """There is nothing at this path."""


class MethodNotAllowed(Problem):
    """The path exists, but not for this method."""


class NotAcceptable(Problem):
    """None of the representations on offer is one that Accept admits."""


class SlowRequest(Problem):
    """The body stopped arriving."""


class Pending(Problem):
    """The rows asked for are not finished yet."""


class Unavailable(Problem):
    """The rows asked for are not finished, and the job has ended."""


class Conflict(Problem):
    """The job's state does not allow this change."""


class Gone(Problem):
    """The job has expired."""


class PreconditionFailed(Problem):
    """What would be sent is not what If-Match names."""


class TooLarge(Problem):
    """A limit on size was passed."""


class UnsupportedMedia(Problem):
    """A content type or content coding that is not read here."""


class RangeNotSatisfiable(Problem):
    """A byte range that begins behind the end."""


class InvalidRequest(Problem):
    """A well-formed request that asks for something wrong."""


class InvalidArchitecture(InvalidRequest):
    """The architecture is wrong, or does not fit the inputs."""


class InvalidInput(InvalidRequest):
    """An input array or mask is wrong."""


class Busy(Problem):
    """The service has as much to read as it can hold."""


class NotReady(Problem):
    """The service cannot do its work at the moment."""


# The one table from error to status; a subclass that is not listed is its nearest listed parent.
KINDS: dict[type[Exception], Kind] = {
    MalformedRequest: Kind(400, "malformed-request", "The request is malformed"),
    Unauthorized: Kind(401, "unauthorized", "A key is needed"),
    Forbidden: Kind(403, "forbidden", "This key does not open this"),
    UnknownResource: Kind(404, "not-found", "There is no such resource"),
    UnknownJob: Kind(404, "not-found", "There is no such resource"),
    UnknownDataset: Kind(404, "not-found", "There is no such resource"),
    MethodNotAllowed: Kind(405, "method-not-allowed", "The resource does not know this method"),
    NotAcceptable: Kind(406, "not-acceptable", "No representation that Accept admits"),
    SlowRequest: Kind(408, "slow-request", "The request body stopped arriving"),
    Pending: Kind(409, "not-finished", "The rows asked for are not finished"),
    Unavailable: Kind(409, "not-computed", "The rows asked for were not computed"),
    Conflict: Kind(409, "conflict", "The state of the resource does not allow this"),
    UploadClosed: Kind(409, "conflict", "The state of the resource does not allow this"),
    PartsMissing: Kind(409, "parts-missing", "Parts of the dataset are missing"),
    Gone: Kind(410, "expired", "This has expired"),
    PreconditionFailed: Kind(412, "precondition-failed", "There is something else by now"),
    TooLarge: Kind(413, "too-large", "A size limit was passed"),
    UnsupportedMedia: Kind(415, "unsupported-media", "The content type or coding is not read here"),
    RangeNotSatisfiable: Kind(416, "no-such-range", "The range lies behind the end"),
    InvalidRequest: Kind(422, "invalid-request", "The request asks for something wrong"),
    InvalidArchitecture: Kind(
        422, "invalid-architecture", "The architecture is wrong or does not fit its inputs"
    ),
    InvalidInput: Kind(422, "invalid-input", "An input array is wrong"),
    KernelError: Kind(422, "invalid-request", "The request asks for something wrong"),
    TooMuch: Kind(413, "over-limit", "A limit was passed"),
    TooMany: Kind(429, "over-limit", "A limit was passed"),
    OverLimit: Kind(507, "over-limit", "A limit was passed"),
    Busy: Kind(503, "busy", "Too much is being read at once"),
    NotReady: Kind(503, "not-ready", "The service is not ready"),
    TilesMissing: Kind(503, "recomputing", "Evicted results are being computed again"),
    ResultStoreAway: Kind(503, "store-unavailable", "The store cannot be reached"),
    RedisError: Kind(503, "store-unavailable", "The store cannot be reached"),
    Exception: Kind(500, "internal-error", "Something went wrong here"),
}


def kind_of(error: Exception) -> Kind:
    """The row of the table for this error."""
    return next(KINDS[cls] for cls in type(error).__mro__ if cls in KINDS)
