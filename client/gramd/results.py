"""What a job came to: the arrays it computed, by name, and the talks that end with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from gramd import matrices, waiting
from gramd.arrays import Array
from gramd.exchange import Talk
from gramd.jobs import Job, JobLike, look
from gramd.progress import Progress, listener
from gramd.retry import Retry


class MissingArray(AttributeError, KeyError):
    """An array that was not asked for: `result.ntk` and `result["ntk"]` raise the same."""

    __str__ = AttributeError.__str__


@dataclass(frozen=True, repr=False)
class Result:
    """A finished job and its arrays. `arrays` has each by its name; so has the result itself.

    collection: where jobs of this kind are, /v1/COLLECTION.
    """

    job: Job
    arrays: Mapping[str, Array]

    collection: ClassVar[str]
    noun: ClassVar[str] = "job"

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {array.shape}" for name, array in self.arrays.items())
        return f"<{type(self).__name__} of {self.job.id}: {shown}>"

    @property
    def receipt(self) -> dict[str, Any]:
        """What was computed, by what, and how long it took."""
        return self.job.receipt or {}

    def __getitem__(self, name: str) -> Array:
        if name not in self.arrays:
            known = ", ".join(self.arrays)
            raise MissingArray(
                f"this {self.noun} has {known}; ask for {name} with outputs=({name!r},)"
            )
        return self.arrays[name]


Kind = TypeVar("Kind", bound=Result)


def compute(
    kind: type[Kind], submitting: Talk[Job], retry: Retry, progress: Progress, timeout: float | None
) -> Talk[Kind]:
    """A job from its submission to its results."""
    job = yield from submitting
    ended = yield from waiting.wait(kind.collection, job, retry, listener(progress), timeout)
    return (yield from collect(kind, ended, retry))


def collect(kind: type[Kind], job: JobLike, retry: Retry) -> Talk[Kind]:
    """All results of a job that has succeeded; raises JobFailed for one that has not."""
    known = job if isinstance(job, Job) else (yield from look(kind.collection, job, retry))
    known.check()
    arrays: dict[str, Array] = {}
    for name in known.results:
        arrays[name] = yield from matrices.fetch(known.result(name), retry)
    return kind(known, arrays)
