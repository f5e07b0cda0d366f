"""Everything that can go wrong, drawn from the problem documents (RFC 9457) that the service sends.

    GramdError
     +-- Unreachable             no answer, however often it was tried: .attempts
     +-- UnexpectedAnswer        an answer that is not gramd's (a proxy's page, another version)
     +-- StillRunning            the job went on for longer than the caller would wait: .job
     +-- JobFailed               .job, .error: the problem document that the job ended with
     |    +-- JobCancelled       somebody cancelled it
     |    +-- JobExpired         it was kept for its time; the same request computes it again
     +-- Problem                 .status .title .detail .pointer .parameter .request_id .document
          +-- InvalidRequest     400 406 408 415 422: what was sent is wrong, at .pointer
          |    +-- InvalidArchitecture, InvalidInput
          +-- NotAllowed         401 403: the key
          +-- NotFound           404 410: no such resource, or it has expired
          +-- Conflict           409: the state of the resource does not allow this
          |    +-- NotFinished   the rows asked for are still being computed: .retry_after
          +-- LimitExceeded      413 429 507: .limit_name and .limit, and .actual, what came
          +-- ServerTrouble      5xx: the service's fault; its log has .request_id

Whoever catches GramdError has caught all of them. Mistakes that need no service to be seen (arrays of
no rectangular shape, say) are ValueError and TypeError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gramd.jobs import Job


class GramdError(Exception):
    """What every error of this package is."""


class Unreachable(GramdError):
    """There was no answer, or it broke off, `attempts` times in a row."""

    def __init__(self, message: str, attempts: int) -> None:
        super().__init__(message)
        self.attempts = attempts


class UnexpectedAnswer(GramdError):
    """Something answered that does not speak this service's language."""


class StillRunning(GramdError):
    """The job has not ended within the time given; it goes on, and can be waited for again."""

    def __init__(self, message: str, job: Job) -> None:
        super().__init__(message)
        self.job = job


class JobFailed(GramdError):
    """A job ended without its results. `error` is its problem document, empty when it has none."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.error: Mapping[str, Any] = job.error or {}
        reason = self.error.get("detail") or "no reason was given"
        super().__init__(f"the job {job.id} is {job.state}: {reason}")


class JobCancelled(JobFailed):
    """Somebody cancelled the job."""


class JobExpired(JobFailed):
    """The job was kept for its time and is gone."""


class Problem(GramdError):
    """The service refused, and said why."""

    def __init__(self, document: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.document = document
        self.retry_after = retry_after
        where = f" at {self.pointer}" if self.pointer else ""
        where = where or (f" ({self.parameter})" if self.parameter else "")
        limit = "" if self.limit is None else f" [{self.limit_name or 'limit'} {self.limit:g}"
        if limit:
            limit += "]" if self.actual is None else f", got {self.actual:g}]"
        super().__init__(f"{self.status} {self.title}{where}: {self.detail}{limit}")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.document.get("status", 0))

    @property
    def kind(self) -> str:
        """The last word of the problem's type, such as "invalid-architecture"."""
        return str(self.document.get("type", "")).rpartition(":")[2]

    @property
    def title(self) -> str:
        """What kind of problem it is, in words."""
        return str(self.document.get("title", "problem"))

    @property
    def detail(self) -> str:
        """What was expected, what came and what to do."""
        return str(self.document.get("detail", ""))

    @property
    def pointer(self) -> str | None:
        """Where in the request the mistake is (RFC 6901), such as /architecture/layers/0/w_std."""
        return self.document.get("pointer")

    @property
    def parameter(self) -> str | None:
        """The query parameter or header at fault."""
        return self.document.get("parameter")

    @property
    def limit(self) -> float | None:
        """The limit that was hit."""
        return self.document.get("limit")

    @property
    def limit_name(self) -> str | None:
        """Its name among `Client.limits()`."""
        return self.document.get("limit_name")

    @property
    def actual(self) -> float | None:
        """What came instead."""
        return self.document.get("actual")

    @property
    def request_id(self) -> str | None:
        """By which the service's log knows this request."""
        return self.document.get("request_id")


class InvalidRequest(Problem):
    """What was sent is wrong."""


class InvalidArchitecture(InvalidRequest):
    """The network is wrong, or does not fit its inputs."""


class InvalidInput(InvalidRequest):
    """An array or mask is wrong."""


class NotAllowed(Problem):
    """The key is missing, unknown, or not good for this."""


class NotFound(Problem):
    """There is no such resource, or not any longer."""


class Conflict(Problem):
    """The state of the resource does not allow this."""


class NotFinished(Conflict):
    """The rows asked for are still being computed; `retry_after` is in seconds."""


class LimitExceeded(Problem):
    """A limit of the service was passed."""


class ServerTrouble(Problem):
    """The service cannot do it at the moment, or failed."""


# The one table from answer to class; a kind is more particular than a status.
_KINDS: dict[str, type[Problem]] = {
    "invalid-architecture": InvalidArchitecture,
    "invalid-input": InvalidInput,
    "not-finished": NotFinished,
}
_STATUSES: dict[int, type[Problem]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    413: LimitExceeded,
    429: LimitExceeded,
    507: LimitExceeded,
}


def read_problem(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """The error that an answer of status 4xx or 5xx is.

    Raises UnexpectedAnswer when it is no problem document: something else than gramd answered.
    """
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "title" not in document:
        start = body[:200].decode("utf-8", "replace")
        raise UnexpectedAnswer(f"expected a problem document with status {status}, got {start!r}")
    found: dict[str, Any] = {"status": status, **document}
    kind = str(found.get("type", "")).rpartition(":")[2]
    fallback = ServerTrouble if status >= 500 else InvalidRequest
    cls = _KINDS.get(kind) or _STATUSES.get(status, fallback)
    return cls(found, seconds_of(headers.get("retry-after")))


def seconds_of(text: str | None) -> float | None:
    """Retry-After in seconds; None when absent or a date (gramd sends numbers)."""
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
