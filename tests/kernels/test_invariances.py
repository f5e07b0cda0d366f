"""What every network's kernels obey, whatever its layers: random networks, no reference needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from kernels.architecture import parse_architecture
from kernels.matrix import kernel_matrix
from tests.kernels.networks import Array, Layer, entries, masks
from tests.kernels.random_networks import problems
from tests.kernels.test_random_networks import FEW, Problem

HEAD: Layer = {"type": "dense", "w_std": 1.3, "b_std": 0.4}


def matrices(layers: list[Layer], x1: Array, x2: Array | None = None, **more: Any) -> Any:
    return kernel_matrix({"layers": layers}, x1, x2, dtype="float64", **more)


def assert_same(found: Any, expected: Any) -> None:
    """Equal to rounding, relative to the largest entry."""
    for output, kernel in expected.items():
        scale = max(np.abs(kernel).max(), 1e-300)
        # Where two rows coincide, an angle near zero amplifies rounding (golden/README.md).
        assert np.abs(found[output] - kernel).max() / scale < 1e-7, output


@dataclass(frozen=True)
class Case:
    """A network on four inputs, and its kernels of all of them, which most laws compare with.

    Attributes:
        layers: the network.
        x: (4, ..., channels).
        mask: real positions of each, or None.
        whole: X against X.
    """

    layers: list[Layer]
    x: Array
    mask: Array | None
    whole: dict[str, Array]

    @classmethod
    def of(cls, problem: Problem) -> Case:
        layers, shape, _, kind = problem
        shape = (4, *shape[1:])
        x, mask = entries(shape, 0), masks(kind, shape, 0)
        return cls(layers, x, mask, matrices(layers, x, mask1=mask))

    def masks_of(self, rows: Any, columns: Any = None) -> dict[str, Array | None]:
        """The masks of some rows, and of some columns, as arguments."""
        picked = {"mask1": rows} if columns is None else {"mask1": rows, "mask2": columns}
        return {name: None if self.mask is None else self.mask[at] for name, at in picked.items()}


EVERY = slice(None)


def another_order_of_inputs_is_the_same_order_of_the_matrix(case: Case) -> None:
    order = np.array([2, 0, 3, 1])
    shuffled = matrices(case.layers, case.x[order], **case.masks_of(order))
    assert_same(shuffled, {o: k[np.ix_(order, order)] for o, k in case.whole.items()})


def two_sides_are_a_slice_of_the_whole_and_turn_to_its_transpose(case: Case) -> None:
    one, rest = slice(0, 1), slice(1, None)
    cross = matrices(case.layers, case.x[one], case.x[rest], **case.masks_of(one, rest))
    assert_same(cross, {o: k[one, rest] for o, k in case.whole.items()})
    back = matrices(case.layers, case.x[rest], case.x[one], **case.masks_of(rest, one))
    assert_same(back, {o: k.T for o, k in cross.items()})


def the_same_inputs_on_both_sides_are_the_whole_off_its_diagonal(case: Case) -> None:
    """An input on the other side is another one: an angle of zero, or what dropout keeps, is known on the
    diagonal of X against X alone."""
    both = matrices(case.layers, case.x, case.x, **case.masks_of(EVERY, EVERY))
    apart = ~np.eye(4, dtype=bool)
    assert_same(
        {o: k * apart for o, k in both.items()}, {o: k * apart for o, k in case.whole.items()}
    )


def the_diagonal_alone_is_that_of_the_matrix_bit_for_bit(case: Case) -> None:
    found = matrices(case.layers, case.x, **case.masks_of(EVERY), form="diagonal")
    for output, diagonal in found.items():
        np.testing.assert_array_equal(diagonal, np.diag(case.whole[output]), output)


def a_covariance_and_a_gram_matrix_of_gradients_are_semidefinite(case: Case) -> None:
    for output, kernel in case.whole.items():
        smallest = np.linalg.eigvalsh(kernel)[0]
        assert smallest > -1e-7 * max(np.abs(kernel).max(), 1e-300), output


def a_dense_layer_at_the_end_makes_theta_k_plus_theta(case: Case) -> None:
    """Theta' = K' + w_std^2 Theta."""
    headed = matrices([*case.layers, HEAD], case.x, **case.masks_of(EVERY))
    tangent = headed["nngp"] + HEAD["w_std"] ** 2 * case.whole["ntk"]
    assert_same({"ntk": headed["ntk"]}, {"ntk": tangent})


def one_network_has_one_digest_however_it_is_spelled(case: Case) -> None:
    network = parse_architecture({"layers": case.layers})
    spelled = parse_architecture(network.canonical())
    repeat = {"type": "repeat", "times": 1, "layers": case.layers}
    once = parse_architecture({"layers": [repeat]})
    assert network.digest == spelled.digest == once.digest


def padding_changes_nothing_where_no_layer_reads_the_length(case: Case) -> None:
    margin = parse_architecture({"layers": case.layers}).margin()
    if case.x.ndim != 3 or margin is None:
        return
    _, size, channels = case.x.shape

    def padded(by: int) -> dict[str, Array]:
        longer = np.concatenate([case.x, np.full((4, by, channels), np.nan)], axis=1)
        real = np.zeros((4, size + by), bool)
        real[:, :size] = True if case.mask is None else case.mask
        return matrices(case.layers, longer, mask1=real)

    assert_same(padded(margin + 3), padded(margin) if margin else case.whole)


LAWS: tuple[Callable[[Case], None], ...] = (
    another_order_of_inputs_is_the_same_order_of_the_matrix,
    two_sides_are_a_slice_of_the_whole_and_turn_to_its_transpose,
    the_same_inputs_on_both_sides_are_the_whole_off_its_diagonal,
    the_diagonal_alone_is_that_of_the_matrix_bit_for_bit,
    a_covariance_and_a_gram_matrix_of_gradients_are_semidefinite,
    a_dense_layer_at_the_end_makes_theta_k_plus_theta,
    one_network_has_one_digest_however_it_is_spelled,
    padding_changes_nothing_where_no_layer_reads_the_length,
)


def check(problem: Problem) -> None:
    """Every law, of a network that is compiled once for all of them; a failure names those broken."""
    case, broken = Case.of(problem), list[str]()
    for law in LAWS:
        try:
            law(case)
        except AssertionError as error:
            broken.append(f"{law.__name__}: {error}")
    assert not broken, "\n".join(broken)


@settings(FEW, max_examples=5)
@given(problem=problems())
def test_random_networks_obey(problem: Problem) -> None:
    check(problem)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(FEW, max_examples=60, derandomize=False)
@given(problem=problems())
def test_many_random_networks_obey(problem: Problem) -> None:
    check(problem)


@pytest.mark.parametrize("form", ["vectors", "sequences"])
def test_relu_networks_scale(form: str) -> None:
    """Without biases: K(c x, c' x') = c c' K(x, x'), and w_std of every layer multiplies too."""
    x = entries((5, 4) if form == "vectors" else (5, 6, 4), 0)
    end = [] if form == "vectors" else [{"type": "global_avg_pool"}]

    def network(w_std: float) -> list[Layer]:
        dense = {"type": "dense", "w_std": w_std}
        return [dense, {"type": "relu"}, dense, {"type": "relu"}, *end]

    factors = np.array([0.5, 1.0, 2.0, 10.0, 1e-3])
    scaled = x * factors.reshape(5, *[1] * (x.ndim - 1))
    plain = matrices(network(1.0), x)
    assert_same(
        matrices(network(1.0), scaled),
        {o: np.outer(factors, factors) * k for o, k in plain.items()},
    )
    assert_same(matrices(network(3.0), x), {o: 3.0**4 * k for o, k in plain.items()})
