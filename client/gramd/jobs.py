"""Jobs: what is known of one, and the talks that all kinds of job have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gramd.errors import JobCancelled, JobExpired, JobFailed, UnexpectedAnswer
from gramd.exchange import JSON, Reply, Request, Talk, encode, exchange, get
from gramd.retry import Retry

ENDED = frozenset({"succeeded", "failed", "cancelled", "expired"})
PAGE = 100
# What every job says of itself.
NEEDED = frozenset({"id", "state", "tiles_done", "tiles_total", "results", "links"})


@dataclass(frozen=True, repr=False)
class Job:
    """One job as the service last described it; `document` has everything that it said."""

    document: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Job {self.id}: {self.state}, {self.tiles_done}/{self.tiles_total} tiles>"

    @property
    def id(self) -> str:
        """Its name."""
        return self.document["id"]

    @property
    def path(self) -> str:
        """Where it is."""
        return self.document["links"]["self"]

    @property
    def state(self) -> str:
        """queued, running, succeeded, failed, cancelled or expired."""
        return self.document["state"]

    @property
    def ended(self) -> bool:
        """Whether it has come to its end, whatever that was."""
        return self.state in ENDED

    @property
    def tiles_done(self) -> int:
        """Pieces of the result that are there."""
        return self.document["tiles_done"]

    @property
    def tiles_total(self) -> int:
        """Pieces that it has; of a prediction, those of its kernels."""
        return self.document["tiles_total"]

    @property
    def eta_s(self) -> float | None:
        """Seconds that it may still take, where the service can tell."""
        return self.document.get("eta_s")

    @property
    def receipt(self) -> dict[str, Any] | None:
        """What was computed: digests, versions, device, tiles computed and reused, seconds."""
        return self.document.get("receipt")

    @property
    def warnings(self) -> list[str]:
        """What is allowed but probably not meant."""
        return list(self.document.get("warnings") or [])

    @property
    def error(self) -> dict[str, Any] | None:
        """The problem document of a job that failed."""
        return self.document.get("error")

    @property
    def results(self) -> tuple[str, ...]:
        """The names of its arrays."""
        return tuple(self.document["results"])

    def result(self, name: str) -> str:
        """The path of one of its arrays; raises ValueError for one that it does not have."""
        links: dict[str, str] = self.document["links"]
        if name not in self.results:
            known = ", ".join(self.results) or "none"
            raise ValueError(f"the job {self.id} has no result {name!r}; it has: {known}")
        return links[name]

    def check(self) -> None:
        """Raises JobFailed (JobCancelled, JobExpired) unless the job has succeeded."""
        if self.state == "succeeded":
            return
        raise {"cancelled": JobCancelled, "expired": JobExpired}.get(self.state, JobFailed)(self)


JobLike: TypeAlias = Job | str
"""A job, or its id."""


def read_job(reply: Reply) -> Job:
    """The job that an answer describes."""
    return _job(reply.json())


def _job(document: Any) -> Job:
    if not (isinstance(document, dict) and document.keys() >= NEEDED):
        raise UnexpectedAnswer(f"expected a job, got {str(document)[:200]!r}")
    return Job(document)


def path_of(collection: str, job: JobLike) -> str:
    """/v1/kernels/ID, say. Raises ValueError for what can be no id."""
    if isinstance(job, Job):
        return job.path
    if not job or not all(c.isalnum() or c in "-_" for c in job):
        raise ValueError(f"expected the id of a job, got {job!r}")
    return f"/v1/{collection}/{job}"


def look(collection: str, job: JobLike, retry: Retry, held: float | None = None) -> Talk[Job]:
    """What is known of a job now, or when it has ended if that is within `held` seconds."""
    headers = {} if held is None else {"Prefer": f"wait={max(1, round(held))}"}
    call = Request("GET", path_of(collection, job), headers=headers)
    return read_job((yield from exchange(call, retry)))


def architecture(collection: str, job: JobLike, retry: Retry) -> Talk[dict[str, Any]]:
    """The network of a job, in canonical form."""
    return (yield from get(f"{path_of(collection, job)}/architecture", retry))


def page_through(collection: str, retry: Retry, limit: int) -> Talk[list[Job]]:
    """The newest jobs, at most `limit` of them."""
    found: list[Job] = []
    cursor: str | None = None
    while len(found) < limit:
        more = {} if cursor is None else {"cursor": cursor}
        count = str(min(PAGE, limit - len(found)))
        page = yield from get(f"/v1/{collection}", retry, limit=count, **more)
        found += [_job(item) for item in page.get(collection, [])]
        cursor = page.get("next")
        if cursor is None:
            break
    return found


def cancel(collection: str, job: JobLike, retry: Retry) -> Talk[Job]:
    """The job, cancelled; raises Conflict for one that has ended otherwise."""
    body = encode({"state": "cancelled"})
    call = Request("PATCH", path_of(collection, job), headers={"Content-Type": JSON}, body=body)
    return read_job((yield from exchange(call, retry)))


def delete(collection: str, job: JobLike, retry: Retry) -> Talk[None]:
    """The job is gone, cancelled first if need be; raises NotFound when there is none."""
    yield from exchange(Request("DELETE", path_of(collection, job)), retry)
