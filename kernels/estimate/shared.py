"""What all tiles of an estimated result have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from kernels.estimate.places import group_count
from kernels.inputs import Inputs
from kernels.layers.layer import Layer


@dataclass(frozen=True)
class Shared:
    """Frozen with the result; equal where the contents are.

    Attributes:
        groups: into which the heads of every estimated layer are divided.
        digest: of the landmarks' content; "" where the network needs none.
        landmarks: the inputs through which all others know what they have in common, or None.
    """

    groups: int
    digest: str
    landmarks: Inputs | None = field(compare=False)

    @classmethod
    def of(cls, layers: Sequence[Layer], landmarks: Inputs | None) -> Shared:
        """For a whole network."""
        digest = "" if landmarks is None else landmarks.digest()
        return cls(group_count(layers), digest, landmarks)

    def in_float64(self) -> Shared:
        """What tiles have in common where all that landmarks tell is computed in float64."""
        if self.landmarks is None or self.landmarks.dtype == "float64":
            return self
        rows = in_float64(self.landmarks)
        return Shared(self.groups, rows.digest(), rows)


@lru_cache(maxsize=8)
def in_float64(rows: Inputs) -> Inputs:
    """The inputs in float64: of one object always one object, by which the workspace finds what it keeps."""
    return Inputs(rows.x.astype(np.float64), rows.mask)
