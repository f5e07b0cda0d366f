"""Positional embeddings as a covariance R between positions, added to or mixed with K."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from kernels.errors import SpecError
from kernels.spec.model import Fraction, NonNegative, Numbers, Positive, Spec
from kernels.spec.width import Normal, Width

if TYPE_CHECKING:
    from jax import Array

LARGEST_CHECKED: Final = 1024
"""Positions up to which R's smallest eigenvalue is computed: a dense problem, within a second."""


class Indicator(Spec):
    """R[p, q] = 1 where p = q, else 0."""

    type: Literal["indicator"] = "indicator"

    def decay(self, xp: Any, distance: Any, numbers: Numbers) -> Any:
        """R at each distance; `xp` is numpy or jax.numpy."""
        return xp.where(distance == 0, 1.0, 0.0)


def _relative(xp: Any, distance: Any, numbers: Numbers) -> Any:
    """Distances in units of the length, which may be so small that float32 takes it for zero."""
    return xp.where(distance == 0, 0, distance / numbers["length"])


class Rational(Spec):
    """R[p, q] = 1 / (1 + (dist / length)^power)."""

    type: Literal["rational"] = "rational"
    length: Positive = 1.0
    power: Positive = 1.0

    def decay(self, xp: Any, distance: Any, numbers: Numbers) -> Any:
        """R at each distance; `xp` is numpy or jax.numpy."""
        return 1 / (1 + _relative(xp, distance, numbers) ** numbers["power"])


class Exponential(Spec):
    """R[p, q] = exp(-(dist / length)^power)."""

    type: Literal["exponential"] = "exponential"
    length: Positive = 1.0
    power: Positive = 1.0

    def decay(self, xp: Any, distance: Any, numbers: Numbers) -> Any:
        """R at each distance; `xp` is numpy or jax.numpy."""
        return xp.exp(-(_relative(xp, distance, numbers) ** numbers["power"]))


class Positional(Spec):
    """How positions enter attention.

    Attributes:
        merge: "sum" adds std^2 R to K; "concat" gives (1 - fraction) K + fraction std^2 R.
        std: standard deviation of the embeddings.
        decay: R as a function of dist, the L_p distance of two positions to the power p.
        p_norm: that p.
        in_values: whether values carry the embeddings too, not only queries and keys.
        fraction: the share of embedding channels under "concat" (0.5 when left out).
    """

    merge: Literal["sum", "concat"]
    std: NonNegative = 1.0
    decay: Annotated[Indicator | Rational | Exponential, Field(discriminator="type")] = Indicator()
    p_norm: Positive | None = None
    in_values: bool = False
    fraction: Fraction | None = None

    @model_validator(mode="after")
    def _fill_what_has_effect(self) -> Self:
        """Defaults where a parameter acts, null where it cannot: one network, one digest."""
        measures = not isinstance(self.decay, Indicator)
        p_norm = (2.0 if self.p_norm is None else self.p_norm) if measures else None
        mixes = self.merge == "concat"
        fraction = (0.5 if self.fraction is None else self.fraction) if mixes else None
        object.__setattr__(self, "p_norm", p_norm)
        object.__setattr__(self, "fraction", fraction)
        return self

    def check(self, grid: tuple[int, ...]) -> None:
        """Raises SpecError unless R is positive semidefinite on this grid of positions."""
        if isinstance(self.decay, Indicator) or self._is_semidefinite_on_any_grid(grid):
            return
        if np.prod(grid) > LARGEST_CHECKED:
            raise SpecError(
                f"whether this decay is positive semidefinite on {list(grid)} positions is not "
                f"known in general and too large to check (more than {LARGEST_CHECKED}); use "
                f"p_norm <= 2 with power <= 1",
                "/positional/decay",
            )
        smallest, largest = _extreme_eigenvalues(self.model_dump_json(), grid)
        if smallest < -1e-9 * largest:
            raise SpecError(
                f"the positional covariance must be positive semidefinite, but on "
                f"{list(grid)} positions its smallest eigenvalue is {smallest:.3g} (largest "
                f"{largest:.3g}); power <= 1 with p_norm <= 2 always works",
                "/positional/decay",
            )

    def _is_semidefinite_on_any_grid(self, grid: tuple[int, ...]) -> bool:
        # sum |d|^p is conditionally negative definite for p <= 2, and stays so under powers <= 1;
        # exp(-t) and 1 / (1 + t) of such a function are positive definite (Schoenberg 1938). On
        # a line, (|d|^p)^power = |d|^(p power), so p power <= 2 is enough.
        assert not isinstance(self.decay, Indicator) and self.p_norm is not None
        if len(grid) == 1 and self.p_norm * self.decay.power <= 2:
            return True
        return self.p_norm <= 2 and self.decay.power <= 1

    def covariance(
        self, xp: Any, grid1: tuple[int, ...], grid2: tuple[int, ...], numbers: Numbers
    ) -> Any:
        """R, (P1, P2), between the positions of two grids; `xp` is numpy or jax.numpy."""
        power = numbers.get("p_norm", 1.0)
        distance: Any = 0.0
        for axis, (n1, n2) in enumerate(zip(grid1, grid2, strict=True)):
            apart = abs(xp.arange(n1)[:, None] - xp.arange(n2)[None, :]) * 1.0
            shape = [1] * (2 * len(grid1))
            shape[axis], shape[len(grid1) + axis] = n1, n2
            distance = distance + (apart**power).reshape(shape)
        size1 = int(np.prod(grid1))
        return self.decay.decay(xp, distance.reshape(size1, -1), numbers.get("decay", {}))

    def mixed(self, k: Array, r: Array, numbers: Numbers) -> Array:
        """A kernel with the embeddings' covariance `r` (masked, unscaled) merged in."""
        r = numbers["std"] ** 2 * r
        if self.merge == "sum":
            return k + r
        return (1 - numbers["fraction"]) * k + numbers["fraction"] * r

    def prepare(self, numbers: Numbers, grid: tuple[int, ...]) -> Numbers:
        """The numbers with "factor", (*grid, P): L of R = L L^T, by position.

        L is lower triangular, so that on a line the first positions do not see the later ones.
        """
        r = self.covariance(np, grid, grid, numbers)
        # R may be singular; 1e-10 is far above rounding and far below any standard error.
        factor = np.linalg.cholesky(r + 1e-10 * np.eye(len(r)))
        return {**numbers, "factor": factor.reshape(*grid, -1)}

    def weights(self, channels: int, grid: tuple[int, ...], width: Width) -> Normal:
        """At finite width: (P, embedding channels).

        Embeddings that are added have the channels of what they are added to, or the network's
        if those are fewer (see `embedded`).
        """
        count = max(channels, width.units) if self.merge == "sum" else width.units
        return Normal((int(np.prod(grid)), count))

    def embedded(self, drawn: Array, numbers: Numbers, x: Array, mask: Array | None) -> Array:
        """At finite width: features whose products have the mean K + std^2 R, or the mixture.

        Args:
            drawn: what `weights` says, drawn, for a grid that holds that of x.
            numbers: what `prepare` returned.
            x: (*grid, channels), divided by the square root of its channels.
            mask: real positions, (*grid), or None; masked ones have no embedding.
        """
        import jax.numpy as jnp

        here = numbers["factor"][tuple(slice(size) for size in x.shape[:-1])]
        count = drawn.shape[1]
        embedding = jnp.matmul(here.reshape(-1, len(drawn)), drawn) * (numbers["std"] / count**0.5)
        embedding = embedding.reshape(*x.shape[:-1], count)
        if mask is not None:
            embedding = jnp.where(mask[..., None], embedding, 0)
        if self.merge == "sum":
            # A raw input has too few channels for its products with embeddings to average out:
            # zero channels are added, which changes none of its own products.
            extra = [(0, 0)] * (x.ndim - 1) + [(0, count - x.shape[-1])]
            return jnp.pad(x, extra) + embedding
        share = numbers["fraction"]
        parts = [jnp.sqrt(1 - share) * x, jnp.sqrt(share) * embedding]
        return jnp.concatenate(parts, axis=-1)


@lru_cache(maxsize=64)
def _extreme_eigenvalues(document: str, grid: tuple[int, ...]) -> tuple[float, float]:
    positional = Positional.model_validate_json(document)
    numbers = positional.split()[1]
    eigenvalues = np.linalg.eigvalsh(positional.covariance(np, grid, grid, numbers))
    return float(eigenvalues[0]), float(eigenvalues[-1])
