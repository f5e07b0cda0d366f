"""Finite networks approach the closed forms: bias = a + b / width with a of zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.finite.monte_carlo import monte_carlo
from kernels.inputs import Inputs, read_inputs
from kernels.matrix import kernel_matrix
from kernels.registry import LAYERS, MECHANISMS
from tests.kernels.finite.cases import CASES, FAST, Case
from tests.kernels.networks import entries, masks

Array = np.ndarray[Any, Any]
OUTPUTS = ("nngp", "ntk")
MOST_ROUNDS = 40


def sides(case: Case) -> tuple[Inputs, Inputs | None]:
    """Both sides of a case."""
    count, *rest = case.shape
    shapes = [case.shape, (max(count - 1, 1), *rest)] if case.cross else [case.shape]
    made = [
        read_inputs(
            case.scale * entries(shape, seed), masks(case.mask, shape, seed), name=f"x{seed + 1}"
        )
        for seed, shape in enumerate(shapes)
    ]
    return made[0], made[1] if case.cross else None


def closed_form(case: Case) -> dict[str, Array]:
    one, two = sides(case)
    other = {} if two is None else {"x2": two.x, "mask2": two.mask}
    return kernel_matrix({"layers": case.layers}, one.x, mask1=one.mask, **other, dtype="float64")


class Estimate:
    """Mean and squared standard error, merged over rounds of equal size."""

    def __init__(self) -> None:
        self.rounds = 0
        self.mean: Array | float = 0.0
        self.square: Array | float = 0.0

    def add(self, mean: Array, error: Array) -> None:
        self.rounds += 1
        self.mean = self.mean + (mean.astype(float) - self.mean) / self.rounds
        self.square = self.square + error.astype(float) ** 2

    @property
    def error(self) -> Array:
        return np.sqrt(self.square) / self.rounds


def limit_of(
    widths: Sequence[int], means: Sequence[Array], errors: Sequence[Array]
) -> tuple[Array, Array]:
    """a of the weighted fit mean = a + b / width, entry by entry, and its standard error."""
    x = (1 / np.array(widths, float)).reshape(-1, *[1] * means[0].ndim)
    weight = 1 / np.array(errors) ** 2
    total = weight.sum(0)
    centre = (weight * x).sum(0) / total
    spread = (weight * (x - centre) ** 2).sum(0)
    slope = (weight * (x - centre) * np.array(means)).sum(0) / spread
    a = (weight * np.array(means)).sum(0) / total - slope * centre
    return a, np.sqrt(1 / total + centre**2 / spread)


def fitted(case: Case, exact: Mapping[str, Array], wanted: float) -> dict[str, tuple[Array, Array]]:
    """a - exact and its standard error, each over the largest entry of the kernel.

    Rounds of networks are added until the standard errors are as small as wanted.
    """
    one, two = sides(case)
    architecture = parse_architecture({"layers": case.layers})
    estimates = {(name, width): Estimate() for name in OUTPUTS for width in case.widths}
    result: dict[str, tuple[Array, Array]] = {}
    for seed in range(MOST_ROUNDS):
        for width in case.widths:
            drawn = monte_carlo(
                architecture,
                one,
                two,
                width=width,
                heads=case.heads(width),
                samples=max(32, 2**16 // width),
                seed=seed,
                outputs=OUTPUTS,
            )
            for name in OUTPUTS:
                estimates[name, width].add(drawn[name], drawn[f"{name}_stderr"])
        for name in OUTPUTS:
            scale = np.abs(exact[name]).max()
            found = [estimates[name, width] for width in case.widths]
            # Entries without randomness have the rounding of float32 sums over all weights in
            # place of a standard error.
            errors = [np.maximum(each.error, 3e-5 * scale) for each in found]
            a, error = limit_of(case.widths, [np.asarray(each.mean) for each in found], errors)
            error = np.hypot(error, exact.get(f"{name}_stderr", 0.0))
            result[name] = (a - exact[name]) / scale, error / scale
        if max(error.max() for _, error in result.values()) <= wanted:
            break
    return result


def assert_limit(case: Case, wanted: float) -> None:
    """The fitted limit is the closed form to 4 standard errors, and those are small enough."""
    for output, (bias, error) in fitted(case, closed_form(case), wanted).items():
        assert error.max() <= wanted, f"{output}: standard error {error.max():.2%}"
        worst = (np.abs(bias) / error).max()
        assert worst <= 4, f"{output}: {worst:.1f} standard errors off, {np.abs(bias).max():.2%}"


@pytest.mark.parametrize("name", FAST)
def test_a_handful_approaches_the_closed_form(name: str) -> None:
    # Compiling takes most of the time, and two widths make a line.
    assert_limit(CASES[name]._replace(widths=(64, 256)), wanted=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_finite_networks_approach_the_closed_form(name: str) -> None:
    case = CASES[name]
    assert_limit(case, wanted=0.03 if case.heavy else 0.01)


def names_in(node: Any) -> set[str]:
    """Every `type` and mechanism name of a document."""
    if isinstance(node, Mapping):
        own = {node[key] for key in ("type", "mechanism") if isinstance(node.get(key), str)}
        return own.union(*(names_in(value) for value in node.values()))
    return set().union(*map(names_in, node)) if isinstance(node, list | tuple) else set()


def test_every_layer_and_mechanism_has_a_case() -> None:
    covered = names_in([case.layers for case in CASES.values()])
    missing = {entry.name() for entry in (*LAYERS, *MECHANISMS)} - covered
    assert not missing, f"add cases to tests/kernels/finite/cases.py for {sorted(missing)}"
