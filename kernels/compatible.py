"""Whether a network, its inputs, the form and the method of a kernel go together. No JAX."""

from __future__ import annotations

from math import prod
from typing import Final

from kernels.architecture import Architecture, describe
from kernels.demand import Demand, additive_span, final_demand, plan_one_input, plan_pair
from kernels.errors import InputError, SpecError
from kernels.estimate.checks import check_heads
from kernels.inputs import FORMS, Form, Inputs
from kernels.layers.attention import Attention
from kernels.layers.chain import structure_of
from kernels.layers.finite_chain import channels_after
from kernels.method import EXACT, Additive, Method, MonteCarlo
from kernels.spec.width import Width

_KINKS_IN_FLOAT32: Final = 3
"""Activations with a kink up to which the float32 ntk is good to 1e-5 at correlations to 0.999."""

MAX_BLOCK_ENTRIES: Final = 2**27
"""Pairs of positions (x, x') of two inputs: half a GiB a block in float32, of which several are
alive at once."""


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
    finite = isinstance(method, MonteCarlo)
    if form != "matrix" and finite:
        raise InputError(f'monte_carlo estimates form "matrix" only, got "{form}"', "/form")
    if isinstance(method, Additive):
        _check_additive(architecture, form)
    masked = any(side is not None and side.mask is not None for side in (inputs1, inputs2))
    _check_side(architecture, inputs1, masked, form)
    if inputs2 is not None:
        _check_fit(architecture, inputs1, inputs2, form)
        _check_side(architecture, inputs2, masked, form)
    if finite:
        _check_width(architecture, inputs1, inputs2 or inputs1, method)
    # Of a finite network nothing but attention takes pairs of positions.
    if not finite or any(isinstance(layer, Attention) for layer in architecture.every_layer()):
        _check_blocks(architecture, inputs1, inputs2, form)
    warnings = list(architecture.warnings)
    if finite:
        return warnings
    sides = [inputs1] if inputs2 is None else [inputs1, inputs2]
    return warnings + _of_kinks(architecture, inputs1.dtype) + check_heads(architecture, sides)


def _of_kinks(architecture: Architecture, dtype: str) -> list[str]:
    kinks = sum(layer.kinked for layer in architecture.every_layer())
    if dtype != "float32" or kinks <= _KINKS_IN_FLOAT32:
        return []
    warning = (
        f"in float32 the ntk of nearly identical inputs (correlation above 0.99) loses digits in a "
        f"network of {kinks} activations with a kink; docs/accuracy.md says how many, and float64 "
        f"keeps them"
    )
    return [warning]


def _check_additive(architecture: Architecture, form: Form) -> None:
    if form == "positions":
        raise InputError(
            'method additive is for form "matrix" or "diagonal", got "positions"', "/form"
        )
    if additive_span(architecture.expanded) is None:
        raise InputError(
            "method additive needs a network with attention (scaling linear, no residual), then "
            "layers that act on each position alone (dense, activations, layer_norm over channels), "
            "then global_avg_pool or global_sum_pool; use method exact for this one",
            "/method",
        )


def _check_width(
    architecture: Architecture, inputs1: Inputs, inputs2: Inputs, method: MonteCarlo
) -> None:
    grid = tuple(max(sizes) for sizes in zip(inputs1.grid, inputs2.grid, strict=True))
    width = Width(method.width, method.heads)
    try:
        channels_after(architecture.expanded, inputs1.x.shape[-1], grid, width)
    except SpecError as error:
        raise InputError(f"no network of width {method.width}: {error.detail}", "/method") from None


def _check_fit(architecture: Architecture, inputs1: Inputs, inputs2: Inputs, form: Form) -> None:
    if inputs1.x.ndim != inputs2.x.ndim:
        raise InputError(
            f"x1 has {inputs1.x.ndim} axes and x2 has {inputs2.x.ndim}; both sides must be "
            f"vectors, or sequences, or images, or volumes",
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
    layers = structure_of(architecture.expanded)
    final = final_demand(form == "positions")
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
