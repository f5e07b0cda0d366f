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
        alike: all channels are distributed alike, not some as one position or branch and some as
            another.
        masked: some positions may be masked.
        forks: how many sums and products this is inside of a branch of. The two facts below say of
            how many of these they hold, from the outermost: what holds since an inner fork holds
            since those around it.
        own_weights: random weights of zero mean, followed by linear layers only, made this signal
            since the fork, so that its mean is zero whatever the other branches are.
        fresh_weights: all that comes from the fork went through random weights, so that a channel
            is independent of the other branches; its mean need not be zero.
    """

    grid: tuple[int, ...]
    channels: int | None
    gaussian: bool = False
    alike: bool = True
    masked: bool = False
    forks: int = 0
    own_weights: int = 0
    fresh_weights: int = 0

    @property
    def positions(self) -> int:
        """Number of positions, 1 for a vector."""
        return prod(self.grid)

    def with_(self, **changes: Any) -> Signal:
        """A copy with some facts changed."""
        return replace(self, **changes)

    def as_weighted(self) -> Signal:
        """After a layer of fresh Gaussian weights of infinite width."""
        return replace(
            self,
            channels=None,
            gaussian=True,
            alike=True,
            own_weights=self.forks,
            fresh_weights=self.forks,
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: channels null means infinitely wide."""
        return {"positions": list(self.grid), "channels": self.channels}
