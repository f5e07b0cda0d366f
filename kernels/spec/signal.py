"""What is known of a signal before any number is: the static facts that flow forward."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any


@dataclass(frozen=True)
class Signal:
    """The static facts between two layers.

    Attributes:
        grid: sizes of the position axes, (), (T,), (H, W) or (D, H, W).
        channels: width; None once the network's own infinite width has replaced the input's.
        gaussian: each channel is a Gaussian process, so an activation's limit applies.
        own_weights: random weights of zero mean, followed by linear layers only, made this
            signal since the last fork, so that it is uncorrelated with a parallel branch.
        masked: some positions may be masked.
    """

    grid: tuple[int, ...]
    channels: int | None
    gaussian: bool = False
    own_weights: bool = False
    masked: bool = False

    @property
    def positions(self) -> int:
        """Number of positions, 1 for a vector."""
        return prod(self.grid)

    def with_(self, **changes: Any) -> Signal:
        """A copy with some facts changed."""
        return replace(self, **changes)

    def as_weighted(self) -> Signal:
        """After a layer of fresh Gaussian weights of infinite width."""
        return replace(self, channels=None, gaussian=True, own_weights=True)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: channels null means infinitely wide."""
        return {"positions": list(self.grid), "channels": self.channels}
