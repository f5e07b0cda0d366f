"""Multi-head self-attention with infinitely many heads.

Under "linear" scaling (1/d_k, tied query and key weights) the mixing matrix A(x) of each input is
deterministic, and K' = ov^2 A K A'^T + b^2. Under "sqrt" scaling (1/sqrt(d_k), independent
weights) the logits stay random: for the identity mechanism their second moments close the map, and
for the others it is a mean over heads drawn at random (kernels/estimate).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import model_validator

from kernels.demand import Demand
from kernels.errors import SpecError
from kernels.layers.estimator import Estimator
from kernels.layers.layer import Doubt, Layer
from kernels.layers.positional import Positional
from kernels.mechanisms.softmax import Softmax
from kernels.spec.exactness import Exactness
from kernels.spec.model import ByName, NonNegative, Numbers, ProperFraction, Spec
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site
    from kernels.mechanisms.mixing import Mixing
    from kernels.registry import AnyMechanism
    from kernels.spec.width import Width

# The registry binds AnyMechanism to the union of all mechanisms.


class Residual(Spec):
    """A structured skip connection: sqrt(weight) x + sqrt(1 - weight) attention(x)."""

    weight: ProperFraction


class Attention(Layer):
    """Self-attention over positions."""

    type: Literal["attention"] = "attention"
    mechanism: Annotated[AnyMechanism, ByName()] = Softmax()
    scaling: Literal["linear", "sqrt"] = "linear"
    estimator: Estimator | None = None
    qk_std: NonNegative = 1.0
    ov_std: NonNegative = 1.0
    b_std: NonNegative = 0.0
    causal: bool = False
    positional: Positional | None = None
    residual: Residual | None = None

    equation: ClassVar[str] = (
        "linear: A = mechanism(qk_std K~(x, x)), K' = ov_std^2 A K A'^T + b_std^2, "
        "Theta' = ov_std^2 A (Theta + 2 K) A'^T + b_std^2; sqrt with identity: "
        "s = <K~, K>, K' = (qk_std ov_std)^2 s K~ + b_std^2, Theta' = (qk_std ov_std)^2 "
        "[s (Theta~ + 4 K~) + K~ (<K~, Theta> + <K, Theta~>)] + b_std^2; sqrt with others, "
        "estimated over heads with weights z and derivatives J: K' = ov_std^2 E[z K z'^T] + "
        "b_std^2, Theta' = ov_std^2 {E[z (Theta + 2 K) z'^T] + qk_std^2 [(2 K~ + Theta~) <M, K~> "
        "+ K~ <M, Theta~>]} + b_std^2, M = E[J K J'^T]"
    )
    source: ClassVar[str] = "Hron et al., arXiv 2006.10540"

    @model_validator(mode="after")
    def _canonical_estimator(self) -> Self:
        closed = self.scaling == "linear" or self.mechanism.name() == "identity"
        estimator = None if closed else self.estimator or Estimator()
        if estimator is not None and self.mechanism.even:
            estimator = estimator.model_copy(update={"antithetic": False})
        object.__setattr__(self, "estimator", estimator)
        return self

    @model_validator(mode="after")
    def _canonical_causal(self) -> Self:
        if self.mechanism.always_causal:
            object.__setattr__(self, "causal", True)
        return self

    def split(self) -> tuple[Self, Numbers]:
        """As elsewhere; the seed is no structure either, heads come as arguments."""
        structure, numbers = super().split()
        if self.estimator is None:
            return structure, numbers
        unseeded = self.estimator.model_copy(update={"seed": 0})
        return structure.model_copy(update={"estimator": unseeded}), numbers

    def forward(self, signal: Signal) -> Signal:
        if not signal.grid:
            raise SpecError(
                "attention needs positions to attend to, but its input is a vector; send "
                "sequences (n, T, d), images (n, H, W, C) or volumes (n, D, H, W, C), and "
                "flatten or pool after it"
            )
        if self.scaling == "sqrt" and self.mechanism.why_linear_only:
            raise SpecError(
                f'mechanism "{self.mechanism.name()}" has a limit under scaling "linear" only: '
                f"{self.mechanism.why_linear_only}; leave scaling out, or take another mechanism",
                "/scaling",
            )
        if self.causal:
            try:
                self.mechanism.causal_warnings()
            except SpecError as error:
                raise error.under("/mechanism") from None
        if self.positional is not None:
            self.positional.check(signal.grid)
        if self.residual is None:
            return signal.as_weighted()
        if signal.channels is not None:
            raise SpecError(
                f"the residual adds the raw input of {signal.channels} channels to an output of "
                f"infinite width; put a dense or conv layer before this one",
                "/residual",
            )
        return signal  # a Gaussian of zero mean and of its own was added

    @property
    def estimates(self) -> bool:
        return self.estimator is not None

    @property
    def observes(self) -> Demand:
        return Demand.FULL if self.scaling == "linear" else Demand.NOTHING

    def demand(self, wanted: Demand) -> Demand:
        contracts = (
            self.scaling == "linear"
            and self.residual is None
            and not (self.positional and self.positional.in_values)
        )
        return Demand.READOUT if wanted is Demand.READOUT and contracts else Demand.FULL

    @property
    def how_exact(self) -> Exactness:
        return "estimated" if self.estimates else self.mechanism.how_exact

    @property
    def trims(self) -> bool:
        return self.mechanism.trims

    @property
    def warnings(self) -> tuple[str, ...]:
        of_mechanism = self.mechanism.warnings(self.qk_std)
        return of_mechanism + (self.mechanism.causal_warnings() if self.causal else ())

    def observe(self, cov: Array, site: Site) -> Mixing:
        """The mixing matrix A(x)."""
        numbers, queries, keys = site.numbers, site.left.mask, site.right.mask
        logits = numbers["qk_std"] * self.with_positions(cov, site)
        visible = self.visible(keys, site.left.size)
        own = numbers.get("mechanism", {})
        if self.causal and visible is not None:
            mixing = self.mechanism.causal_mixing(logits, visible, own)
        else:
            mixing = self.mechanism.mixing(logits, visible, own)
        mixing = mixing if queries is None else mixing.of_queries(queries)
        if not self.may_be_flat or site.included is not None:
            return mixing
        in_values = self.with_positions(cov, site) if self.values_have_places else cov
        return mixing.with_flat(numbers["ov_std"] ** 2 * in_values)

    def doubt(self, seen: Any) -> Doubt | None:
        if self.estimates or seen.error is None:
            return None
        return Doubt(seen.error, seen.within)

    def within_tolerance(self) -> Self:
        return self.model_copy(update={"mechanism": self.mechanism.within_tolerance()})

    def visible(self, mask: Array | None, size: int) -> Array | None:
        """Which keys each query sees, (P, P) bool; None if all."""
        import jax.numpy as jnp

        visible = None if mask is None else jnp.broadcast_to(mask[None, :], (size, size))
        if self.causal:
            earlier = jnp.tril(jnp.ones((size, size), bool))
            visible = earlier if visible is None else earlier & visible
        return visible

    def readout(self, weights: Array | None, seen: Any, mask: Array | None, size: int) -> Array:
        assert weights is not None
        return seen.adjoint(weights)

    @property
    def multiplies(self) -> bool:
        return True

    @property
    def may_be_flat(self) -> bool:
        # Causal queries see other keys each, and random logits have no A(x).
        return self.scaling == "linear" and not self.causal

    @property
    def separable(self) -> bool:
        return self.scaling == "linear" and self.residual is None

    @property
    def values_have_places(self) -> bool:
        return self.positional is not None and self.positional.in_values

    def pair(self, block: Block, site: Site) -> Block:
        attended = self._attended(block, site)
        if self.residual is None:
            return attended
        if attended.nngp.ndim < block.nngp.ndim:
            from jax.numpy import diagonal

            block = block.map(diagonal)
        share = site.numbers["residual"]["weight"]
        mix = [
            None if old is None else share * old + (1 - share) * new
            for old, new in zip(block, attended, strict=True)
        ]
        return block._replace(nngp=mix[0], ntk=mix[1])

    def _attended(self, block: Block, site: Site) -> Block:
        if self.scaling == "sqrt":
            from kernels.layers.random_logits import mean_over_heads, second_moments

            moments = mean_over_heads if self.estimates else second_moments
            return moments(self, block, site)
        return (self.unmixed if site.wanted_in is Demand.READOUT else self._mixed)(block, site)

    def unmixed(self, block: Block, site: Site) -> Block:
        """The kernels above of a pair whose weights, or inputs, went through A already."""
        bias = site.constant(site.numbers["b_std"] ** 2)
        return self.values(block, site).plus(bias)

    def values(self, block: Block, site: Site) -> Block:
        """ov^2 K and ov^2 (Theta + 2 K)."""
        if self.values_have_places:
            # Adds to a tangent kernel that was zero, too.
            block = block.filled().map(lambda k: self.with_positions(k, site))
        scale = site.numbers["ov_std"] ** 2
        ntk = None if block.ntk is None else scale * (block.ntk + 2 * block.nngp)
        return block._replace(nngp=scale * block.nngp, ntk=ntk)

    def _mixed(self, block: Block, site: Site) -> Block:
        """ov^2 A K A'^T + b^2 and ov^2 A (Theta + 2 K) A'^T + b^2; their diagonals where that is
        wanted."""
        from kernels.mechanisms.mixing import congruence_diagonal, congruences

        values, bias = self.values(block, site), site.constant(site.numbers["b_std"] ** 2)
        left, right = site.left.seen, site.right.seen
        if site.wanted_out is Demand.DIAGONAL:
            return values.map(lambda k: congruence_diagonal(left, k, right)).plus(bias)
        mixed = congruences(left, [k for k in values if k is not None], right, site.identical)
        return block._replace(nngp=mixed[0], ntk=mixed[1] if len(mixed) > 1 else None).plus(bias)

    def with_positions(self, k: Array, site: Site) -> Array:
        """K with the embeddings' covariance merged in at real positions."""
        import jax.numpy as jnp

        if self.positional is None:
            return k
        numbers = site.numbers["positional"]
        r = self.positional.covariance(jnp, site.left.grid, site.right.grid, numbers)
        r = r.astype(k.dtype)
        return self.positional.mixed(k, site.masked(r), numbers)

    def prepare(self, numbers: Numbers, grid: tuple[int, ...]) -> Numbers:
        if self.positional is None:
            return numbers
        return {**numbers, "positional": self.positional.prepare(numbers["positional"], grid)}

    def output_channels(self, channels: int, grid: tuple[int, ...], width: Width) -> int:
        if width.head_channels < self.mechanism.narrowest:
            raise SpecError(
                f"{self.mechanism.name()} attention with these features needs heads of at least "
                f"{self.mechanism.narrowest} channels, got {width.head_channels}: take a larger "
                f"width, or a smaller nu"
            )
        return width.units if self.residual is None else channels

    def weights(self, channels: int, grid: tuple[int, ...], width: Width) -> Any:
        from kernels.layers.finite_heads import weights_of_heads

        return weights_of_heads(self, channels, grid, width)

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        import jax.numpy as jnp

        from kernels.layers.finite_heads import attend

        size = prod(x.shape[:-1])
        visible = self.visible(None if mask is None else mask.reshape(-1), size)
        attended = attend(self, weights, numbers, x, mask, visible)
        if self.residual is None:
            return attended
        share = numbers["residual"]["weight"]
        return jnp.sqrt(share) * x + jnp.sqrt(1 - share) * attended
