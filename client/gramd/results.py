"""What a job came to: the arrays it computed, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gramd.arrays import Array
from gramd.jobs import Job


@dataclass(frozen=True, repr=False)
class Result:
    """A finished job and its arrays. `arrays` has each by its name; so has the result itself."""

    job: Job
    arrays: Mapping[str, Array]

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
            raise KeyError(f"this {self.noun} has {known}; ask for {name} with outputs=({name!r},)")
        return self.arrays[name]
