"""Arrays as they come in: checked, cast to the job's dtype, masked entries zeroed. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import prod
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from kernels.demand import Demand, additive_span, plan_one_input, plan_pair
from kernels.errors import InputError, SpecError
from kernels.estimate.checks import check_heads
from kernels.method import EXACT, Additive, Method, MonteCarlo
from kernels.spec.architecture import Architecture, describe

DTYPES: Final = ("float32", "float64")
OUTPUTS: Final = ("nngp", "ntk")
Form = Literal["matrix", "diagonal", "positions"]
FORMS: Final[tuple[Form, ...]] = ("matrix", "diagonal", "positions")

_KINKS_IN_FLOAT32: Final = 3
"""Activations with a kink up to which the float32 ntk is good to 1e-5 at correlations to 0.999."""

MAX_BLOCK_ENTRIES: Final = 2**27
"""Pairs of positions (x, x') of two inputs: half a GiB a block in float32, of which several are
alive at once."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """One side of a kernel: n inputs that passed every check.

    Attributes:
        x: (n, *grid, channels), float32 or float64, C-contiguous, masked entries zero.
        mask: (n, *grid) bool, True = real; None when every position is real.
    """

    x: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_] | None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the position axes."""
        return self.x.shape[1:-1]

    @property
    def dtype(self) -> str:
        """Name of the dtype."""
        return self.x.dtype.name

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Positions up to and with the last real one, for each input; sequences only."""
        size = self.grid[0]
        if self.mask is None:
            return np.full(len(self), size)
        return size - np.argmax(self.mask[:, ::-1], axis=1)

    def take(self, rows: Sequence[int], grid: tuple[int, ...] | None = None) -> Inputs:
        """Some rows, in the order given, cut to the first `grid` positions; a view if it can be."""
        part = slice(rows[0], rows[0] + len(rows))
        if grid in (None, self.grid) and list(rows) == list(range(part.start, part.stop)):
            return Inputs(self.x[part], None if self.mask is None else self.mask[part])
        window = [slice(size) for size in (self.grid if grid is None else grid)]
        x = np.ascontiguousarray(self.x[np.asarray(rows)][:, *window])
        mask = None if self.mask is None else self.mask[np.asarray(rows)][:, *window]
        return Inputs(x, mask if mask is None else np.ascontiguousarray(mask))

    def digest(self) -> str:
        """SHA-256 of the content: shapes, dtype, entries and mask."""
        content = sha256(f"{self.x.shape}{self.x.dtype.str}{self.mask is not None}".encode())
        content.update(self.x.data)
        if self.mask is not None:
            content.update(np.packbits(self.mask).data)
        return content.hexdigest()


def read_inputs(
    x: npt.ArrayLike, mask: npt.ArrayLike | None = None, *, dtype: str = "float32", name: str = "x1"
) -> Inputs:
    """Checks one array and its mask and casts them.

    Args:
        x: (n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C), any real numeric dtype.
        mask: boolean, the shape of x without channels, True = real.
        dtype: "float32" or "float64", what the job computes in.
        name: "x1" or "x2", for the pointers of errors.

    Raises:
        InputError: what was expected and what came, pointing to /x1, /mask1, /x2 or /mask2.
    """
    pointer, mask_pointer = f"/{name}", f"/mask{name[-1]}"
    if dtype not in DTYPES:
        raise InputError(f"expected dtype 'float32' or 'float64', got {dtype!r}", "/dtype")
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise InputError(f"expected a rectangular array of numbers: {error}", pointer) from None
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise InputError(
            f"expected an array of integers or real numbers of at most 64 bits, got dtype "
            f"{array.dtype}",
            pointer,
        )
    if not 2 <= array.ndim <= 5:
        raise InputError(
            f"expected a batch of vectors (n, d), sequences (n, T, d), images (n, H, W, C) or "
            f"volumes (n, D, H, W, C); got shape {list(array.shape)}",
            pointer,
        )
    if 0 in array.shape:
        raise InputError(f"expected no axis of size 0, got shape {list(array.shape)}", pointer)
    real = None if mask is None else _read_mask(mask, array, mask_pointer)
    with np.errstate(over="ignore"):
        values = np.array(array, dtype=dtype, order="C")
    if real is not None:
        values[~real] = 0
    if not np.isfinite(values).all():
        raise InputError(_not_finite(array, values, real, dtype), pointer)
    return Inputs(values, None if real is None or real.all() else real)


def _read_mask(mask: npt.ArrayLike, x: npt.NDArray[Any], pointer: str) -> npt.NDArray[np.bool_]:
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise InputError(
            f"expected a boolean mask (True = real position), got dtype {array.dtype}", pointer
        )
    if x.ndim == 2:
        raise InputError("vectors have no positions to mask; leave the mask out", pointer)
    if array.shape != x.shape[:-1]:
        raise InputError(
            f"expected a mask of shape {list(x.shape[:-1])}, that of the input without channels; "
            f"got {list(array.shape)}",
            pointer,
        )
    empty = np.flatnonzero(~array.reshape(len(array), -1).any(1))
    if empty.size:
        raise InputError(
            f"row {empty[0]} has no real position ({empty.size} such rows); leave such rows out",
            pointer,
        )
    return np.ascontiguousarray(array)


def _not_finite(
    array: npt.NDArray[Any],
    values: npt.NDArray[Any],
    real: npt.NDArray[np.bool_] | None,
    dtype: str,
) -> str:
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
    found = array[place]
    if np.isfinite(found):
        return (
            f"the entry {found} at {list(place)} does not fit {dtype}; scale the input or ask for "
            f"float64"
        )
    hint = "mask that position or repair it" if real is None else "it is not masked"
    return f"expected finite numbers at real positions, got {found} at {list(place)}; {hint}"


def check_job(
    architecture: Architecture,
    inputs1: Inputs,
    inputs2: Inputs | None = None,
    form: Form = "matrix",
    method: Method = EXACT,
) -> list[str]:
    """Checks that a network fits its inputs and gives a kernel of the form that is wanted.

    Args:
        architecture: the network.
        inputs1: the rows.
        inputs2: the columns; None for X against X.
        form: "matrix" for all pairs of inputs, "diagonal" for x1[i] with x2[i] only, "positions"
            for all pairs of inputs and of positions, of a network that keeps them.
        method: how the kernel is computed.

    Returns:
        warnings: what is allowed but probably not meant.

    Raises:
        SpecError: the network does not fit, with the pointer of the layer.
        InputError: the two sides do not fit each other, or their blocks do not fit in memory.
    """
    if form not in FORMS:
        raise InputError(f"expected a form among {list(FORMS)}, got {form!r}", "/form")
    if form != "matrix" and isinstance(method, MonteCarlo):
        raise InputError(f'monte_carlo estimates form "matrix" only, got "{form}"', "/form")
    if isinstance(method, Additive):
        _check_additive(architecture, form)
    masked = any(side is not None and side.mask is not None for side in (inputs1, inputs2))
    _check_side(architecture, inputs1, masked, form)
    if inputs2 is not None:
        _check_fit(architecture, inputs1, inputs2, form)
        _check_side(architecture, inputs2, masked, form)
    _check_blocks(architecture, inputs1, inputs2, form)
    warnings = _warnings(architecture, inputs1.dtype)
    if not isinstance(method, MonteCarlo):
        warnings += check_heads(architecture, [inputs1, *([inputs2] if inputs2 else [])])
    return warnings


def _warnings(architecture: Architecture, dtype: str) -> list[str]:
    layers = architecture.every_layer()
    warnings = list(architecture.warnings)
    kinks = sum(layer.kinked for layer in layers)
    if dtype == "float32" and kinks > _KINKS_IN_FLOAT32:
        warnings.append(
            f"in float32 the ntk of nearly identical inputs (correlation above 0.99) loses digits "
            f"in a network of {kinks} activations with a kink; docs/accuracy.md says how many, and "
            f"float64 keeps them"
        )
    return warnings


def _check_additive(architecture: Architecture, form: Form) -> None:
    if form != "matrix":
        raise InputError(f'method additive is for form "matrix" only, got "{form}"', "/form")
    if additive_span(architecture.expanded) is None:
        raise InputError(
            "method additive needs a network with attention (scaling linear, no residual), then "
            "layers that act on each position alone (dense, activations, layer_norm), then "
            "global_avg_pool or global_sum_pool; use method exact for this one",
            "/method",
        )


def _check_fit(architecture: Architecture, inputs1: Inputs, inputs2: Inputs, form: Form) -> None:
    if inputs1.x.ndim != inputs2.x.ndim:
        raise InputError(
            f"x1 has {inputs1.x.ndim} axes and x2 has {inputs2.x.ndim}; both sides must be "
            f"vectors, or sequences, or images",
            "/x2",
        )
    if inputs1.x.shape[-1] != inputs2.x.shape[-1]:
        raise InputError(
            f"x1 has {inputs1.x.shape[-1]} channels and x2 has {inputs2.x.shape[-1]}; they must "
            f"agree",
            "/x2",
        )
    if inputs1.grid != inputs2.grid and architecture.margin() is None:
        raise InputError(
            f"x1 has positions {list(inputs1.grid)} and x2 has {list(inputs2.grid)}; with this "
            f"network they must agree: pad the shorter and send masks",
            "/x2",
        )
    if form == "diagonal" and len(inputs1) != len(inputs2):
        raise InputError(
            f"the diagonal pairs x1[i] with x2[i], but x1 has {len(inputs1)} rows and x2 has "
            f"{len(inputs2)}",
            "/x2",
        )


def _check_side(architecture: Architecture, inputs: Inputs, masked: bool, form: Form) -> None:
    description = describe(architecture, inputs.x.shape[1:], masked)
    if description.output.grid and form != "positions":
        raise SpecError(
            f"the kernel still has positions {list(description.output.grid)} at the end; finish "
            f"with flatten, global_avg_pool or global_sum_pool (and dense layers if you like), or "
            f'ask for form "positions"',
            f"/layers/{len(architecture.layers) - 1}",
        )
    if not description.output.grid and form == "positions":
        raise SpecError(
            'form "positions" needs a network whose last layer has positions, but here they are '
            'gone at the end: ask for form "matrix"',
            f"/layers/{len(architecture.layers) - 1}",
        )


def _check_blocks(
    architecture: Architecture, inputs1: Inputs, inputs2: Inputs | None, form: Form
) -> None:
    layers = [layer.split()[0] for layer in architecture.expanded]
    final = Demand.FULL if form == "positions" else Demand.POINT
    own = plan_one_input(layers, bool(inputs1.grid), Demand.NOTHING if inputs2 else final)
    pair = plan_pair(layers, bool(inputs1.grid), final)
    sizes = [prod(side.grid) for side in (inputs1, inputs2 or inputs1)]
    needed = 0
    if any(step.wanted_in is Demand.FULL for step in own):
        needed = max(sizes) ** 2
    elif any(step.wanted_in is Demand.FULL for step in pair):
        needed = prod(sizes)
    if needed > MAX_BLOCK_ENTRIES:
        raise InputError(
            f"this network needs every pair of positions of two inputs, {needed} here, and at most "
            f"{MAX_BLOCK_ENTRIES} fit in memory: shorten the inputs, or pool or stride earlier",
            "/x1",
        )
