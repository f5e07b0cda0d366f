"""By what a finite network tells its inputs apart, where it has randomness that is not a weight.

Dropout draws another mask for every input, but the same for one input wherever it stands: in the
whole matrix, or in any tile of it. Row numbers of the whole cannot say that, because a tile is a
function of its rows' contents alone. So an input's identity is a hash of its content, and of how
many inputs of the same content stand before it, on either side: equal inputs at different places
are dropped independently, as the limit has them. In tiles of their own, equal inputs may so be
given other numbers than in the whole; each entry keeps its distribution.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.inputs import Inputs

Identities = npt.NDArray[np.uint32]
"""(n, 2), one row for each input."""


def identities(inputs1: Inputs, inputs2: Inputs | None = None) -> tuple[Identities, Identities]:
    """The identities of both sides; the same array twice for the first against itself.

    Padding is no content: real entries and where they stand are.
    """
    seen: Counter[bytes] = Counter()
    one = _of_side(inputs1, seen)
    return one, one if inputs2 is None else _of_side(inputs2, seen)


def _of_side(inputs: Inputs, seen: Counter[bytes]) -> Identities:
    found: list[bytes] = []
    for x, real in zip(inputs.x, inputs.real, strict=True):
        content = _content(x, real)
        found.append(sha256(content + seen[content].to_bytes(8, "little")).digest()[:8])
        seen[content] += 1
    return np.frombuffer(b"".join(found), "<u4").reshape(-1, 2).astype(np.uint32)


def _content(x: npt.NDArray[Any], real: npt.NDArray[np.bool_]) -> bytes:
    places = np.argwhere(real).astype("<i8")
    # Adding zero makes one of the two zeros.
    entries = x[real].astype("<f8") + 0.0
    return sha256(places.tobytes() + entries.tobytes()).digest()
