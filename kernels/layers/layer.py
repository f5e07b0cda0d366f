"""What a layer is: its parameters, what it does to shapes, and its infinite-width limit.

A layer is a frozen spec. Its JAX-free half says what it accepts (`forward`), what it needs
(`demand`, `observes`) and what it does to positions; its other half is the limit itself, in two
parts that are kept apart because one is done n times and the other n^2 times:

    observe   one input: reads the input's own covariance (a variance, a mixing matrix)
    pair      two inputs: maps their block of (nngp, ntk), using what was observed of each

A third part is the same layer at finite width, the independent check of the limit: `weights` and
`apply`, in the NTK parameterization (kernels/finite).

Methods that raise `_undefined` are for layers to define: `forward`, `pair` and `apply` by all, the
others by those whose facts (`observes`, `separable`, a readout in `demand`) say that they are asked.
They are not abstract, since a layer that is never asked need not have them.

Rules import JAX inside, so that reading a spec never does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from kernels.demand import Demand
from kernels.spec.exactness import Exactness
from kernels.spec.model import Numbers, Spec
from kernels.spec.signal import Signal

if TYPE_CHECKING:
    from jax import Array

    from kernels.engine.block import Block, Site
    from kernels.spec.width import Width


class Doubt(NamedTuple):
    """How far what a layer observed of one input is from what it approximates.

    Attributes:
        error: (), at most this, in the layer's own measure.
        within: (), whether the caller tolerates that; None where no tolerance was said.
    """

    error: Array
    within: Array | None


class Layer(Spec):
    """Base of all layers; the defaults below suit a layer that acts on each position alone."""

    equation: ClassVar[str]
    """The map of (K, Theta), as shown by GET /v1/layers and docs/layers.md."""
    source: ClassVar[str]
    """Where the limit comes from."""
    exactness: ClassVar[Exactness] = "exact"
    kinked: ClassVar[bool] = False
    """Whether f has a kink, so that its dual has a root at correlation one and amplifies rounding
    there (docs/accuracy.md)."""
    passes: ClassVar[float] = 3.0
    """Cheap passes over its block that the rule takes as long as: those of a closed-form dual."""
    dual_blocks: ClassVar[int] = 0
    """Blocks for each kernel that the rule has in memory beside what any layer has (plan/memory.py)."""
    kept_numbers: ClassVar[int] = 1
    """Numbers that a position of an input keeps of what `observe` returns, matrices aside."""
    not_finite: ClassVar[str] = (
        "it leaves the range of the dtype; use smaller inputs or stds, or normalise with layer_norm"
    )
    """What to say, and advise, when the kernel is not finite after the layer."""
    float64_helps: ClassVar[bool] = True
    """Whether, in float32, float64 is advised too."""

    @classmethod
    def name(cls) -> str:
        """The layer's `type` in a document."""
        return cls.model_fields["type"].default

    def forward(self, signal: Signal) -> Signal:
        """The static facts after the layer.

        Raises:
            SpecError: the layer cannot act on such a signal; the pointer is relative to it.
        """
        raise self._undefined("forward")

    def steps_inside(self, signal: Signal, pointer: str) -> Iterator[tuple[str, Signal]]:
        """The signal after each layer inside this one, by the layer's pointer below `pointer`."""
        yield from ()

    def expand(self) -> tuple[Layer, ...]:
        """The layers this one stands for in canonical form; one layer, unless it is a list."""
        return (self,)

    def branches_of(self) -> tuple[tuple[Layer, ...], ...]:
        """The branches of a layer that has some."""
        return ()

    @property
    def how_exact(self) -> Exactness:
        """`exactness`, where it depends on the parameters."""
        return self.exactness

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a caller should know of these parameters: one has no effect, a limit degenerates."""
        return ()

    @property
    def estimates(self) -> bool:
        """Whether the limit is a mean over heads that are drawn at random (kernels/estimate).

        What is seen of an input are then the states of its heads, which are handed in, and `pair` averages over
        the groups of heads in `site.included`.
        """
        return False

    def contains_estimate(self) -> bool:
        """Whether this layer, or one in its branches, is estimated."""
        inner = (layer for branch in self.branches_of() for layer in branch)
        return self.estimates or any(layer.contains_estimate() for layer in inner)

    @property
    def observes(self) -> Demand:
        """What `observe` reads of one input's own covariance."""
        return Demand.NOTHING

    @property
    def pointwise(self) -> bool:
        """Whether each pair of positions above depends on the same pair below, and on both
        variances, alone."""
        return False

    @property
    def reach(self) -> int | None:
        """Neighbouring positions that one position above reads at most; None if any, or if the
        layer does not treat all places alike."""
        return 0 if self.pointwise else None

    @property
    def multiplies(self) -> bool:
        """Whether a block of every pair of positions goes through products of matrices."""
        return False

    @property
    def may_be_flat(self) -> bool:
        """Whether queries may attend to nearly the same (kernels/mechanisms/flat.py)."""
        return False

    @property
    def separable(self) -> bool:
        """Whether K' is A(x) K A(x')^T up to a factor and a constant: some attention is."""
        return False

    @property
    def removes_positions(self) -> bool:
        """Flatten and global pools: nothing above has positions."""
        return False

    def demand(self, wanted: Demand) -> Demand:
        """What must come in so that `wanted` (never NOTHING) can go out, for two inputs."""
        return Demand.FULL if wanted is Demand.READOUT else wanted

    @property
    def trims(self) -> bool:
        """Whether masked positions after the last real one can be cut off without effect."""
        return True

    @property
    def values_have_places(self) -> bool:
        """Of a separable layer: whether its `values` depend on where a position is."""
        return False

    def margin(self, above: int) -> int | None:
        """Masked positions to keep after the last real one, so that cutting off more is inert.

        Args:
            above: how many the layers above need.

        Returns:
            None where none may be cut off.
        """
        return above if self.trims else None

    def output_grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        """Position sizes after the layer."""
        return () if self.removes_positions else grid

    def output_mask(self, mask: Array, grid: tuple[int, ...]) -> Array:
        """Which positions are real after the layer; both masks are flat, (P,)."""
        return mask

    def observe(self, cov: Array, site: Site) -> Any:
        """What the pair pass needs of this input: any tree of arrays.

        Args:
            cov: K(x, x) below the layer, (P, P), (P,) or () as `observes` asked for.
            site: the one input's own site (left and right are the same side).
        """
        raise self._undefined("observe")

    def doubt(self, seen: Any) -> Doubt | None:
        """How far off is what `observe` returned; None where it is exact."""
        return None

    def within_tolerance(self) -> Self:
        """The layer that is exact, though slower, for every input whose error (`doubt`) the caller does not
        tolerate; itself where nothing is approximated."""
        return self

    def readout(self, weights: Array | None, seen: Any, mask: Array | None, size: int) -> Array:
        """The weights u below the layer for which u^T K_in u' gives what is read above.

        Args:
            weights: the weights above, (P,); None where the layer itself is the readout.
            seen: what `observe` returned.
            mask: the real positions below, (P,) bool, or None.
            size: the number P of positions below.
        """
        raise self._undefined("readout")

    def values(self, block: Block, site: Site) -> Block:
        """Of a separable layer, what A(x) and A(x')^T are multiplied to on either side.

        Arguments are those of `pair`.
        """
        raise self._undefined("values")

    def pair(self, block: Block, site: Site) -> Block:
        """The layer's map of (nngp, ntk) for two inputs.

        Args:
            block: the kernels below, as `site.wanted_in` says.
            site: both sides of the pair, the layer's numbers, and what is wanted in and out.
        """
        raise self._undefined("pair")

    def prepare(self, numbers: Numbers, grid: tuple[int, ...]) -> Numbers:
        """At finite width: the numbers, and what follows from them on a grid of positions.

        Done once, in float64 and before anything is compiled.
        """
        return numbers

    def output_channels(self, channels: int, grid: tuple[int, ...], width: Width) -> int:
        """At finite width: channels after the layer.

        Args:
            channels: channels below.
            grid: positions below.
            width: how wide the network is.

        Raises:
            SpecError: there is no such layer of this width.
        """
        return channels

    def weights(self, channels: int, grid: tuple[int, ...], width: Width) -> Any:
        """At finite width: all that is trained, a tree of `Normal`; () where a layer has none.

        `apply` gets an array for each, or a `LinearMap` for those that say `linear`.

        Args:
            channels: channels below.
            grid: positions below; if anything depends on their number it is the length of an
                array's first axis, so that weights of the first ones are the same whatever follows.
            width: how wide the network is.
        """
        return ()

    def apply(
        self, weights: Any, numbers: Numbers, x: Array, mask: Array | None, key: Array
    ) -> Array:
        """At finite width: what the layer makes of one input.

        Args:
            weights: the tree of `weights`, drawn.
            numbers: what `prepare` returned, as scalars and arrays of the network's dtype.
            x: (*grid, channels) or (channels,), zero at masked positions.
            mask: real positions, (*grid) bool, or None.
            key: randomness of this input that is not a weight (dropout).

        Returns:
            (*output grid, output channels); masked positions are zeroed afterwards.
        """
        raise self._undefined("apply")


class LinearAtEachPosition(Layer):
    """Base of layers that do one linear thing to every position: a readout goes through them as it is."""

    @property
    def pointwise(self) -> bool:
        return True

    def demand(self, wanted: Demand) -> Demand:
        return wanted

    def readout(self, weights: Array | None, seen: Any, mask: Array | None, size: int) -> Array:
        assert weights is not None
        return weights
