"""Performers: the golden definition, the estimators' expectations, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kernels.architecture import parse_architecture
from kernels.compatible import check_job
from kernels.errors import SpecError
from kernels.inputs import read_inputs
from kernels.matrix import kernel_matrix
from kernels.mechanisms.performer import Performer, directions
from tests.kernels.networks import POOL, RELU, attention, dense, entries, masks
from tests.oracles.random_features import softmax, weights

Array = np.ndarray[Any, Any]
VARIANTS = ("positive", "hyperbolic", "trigonometric")
SIZE = 9


def performer(**parameters: Any) -> dict[str, Any]:
    return {"type": "performer", **parameters}


def network(mechanism: dict[str, Any] | str, **parameters: Any) -> dict[str, Any]:
    return {"layers": [dense(), RELU, attention(mechanism, **parameters), RELU, POOL, dense()]}


def logits_of(scale: float = 1.0, seed: int = 0) -> Array:
    """Logits after a dense ReLU layer: positive, of one common component and more."""
    rows = np.maximum(entries((SIZE, 40), seed), 0.0)
    return scale * rows @ rows.T / 20


def mixed(mechanism: Performer, logits: Array, real: Array, causal: bool) -> tuple[Array, float]:
    """The mixing matrix and its error; masked queries' rows are not looked at."""
    with jax.enable_x64(True):
        visible = jnp.asarray(np.broadcast_to(real[None, :], logits.shape))
        if causal:
            visible = visible & jnp.tril(jnp.ones(logits.shape, bool))
            made = mechanism.causal_mixing(jnp.asarray(logits), visible, {})
        else:
            made = mechanism.mixing(jnp.asarray(logits), visible, {})
        assert made.error is not None
        return np.asarray(made.of_queries(jnp.asarray(real)).dense()), float(made.error)


@pytest.mark.parametrize(
    ("dtype", "bounds"), [("float64", (1e-9, 1e-9)), ("float32", (1e-6, 1e-4))]
)
def test_golden(root: Path, dtype: str, bounds: tuple[float, float]) -> None:
    with np.load(root / "tests/data/golden_attention/performer.npz") as golden:
        spec = json.loads(str(golden["spec"]))
        np.testing.assert_allclose(directions(256, 8, 3, True), golden["performer_w"], atol=1e-12)
        result = kernel_matrix(spec, golden["x1"], golden["x2"], dtype=dtype)
        for output, bound in zip(("nngp", "ntk"), bounds, strict=True):
            error = np.abs(result[output] - golden[output]).max() / np.abs(golden[output]).max()
            assert error <= bound, output


@pytest.mark.parametrize(("masked", "causal"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(("orthogonal", "centre"), [(True, True), (False, True), (True, False)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_are_the_means_over_directions(
    variant: str, orthogonal: bool, centre: bool, masked: bool, causal: bool
) -> None:
    mechanism = Performer.model_validate(
        performer(features=64, variant=variant, orthogonal=orthogonal, centre=centre, seed=5)
    )
    logits, real = logits_of(), np.ones(SIZE, bool)
    if masked:
        real[[2, 7]] = False
    w = directions(64 if variant == "positive" else 32, SIZE, 5, orthogonal)
    expected = weights(logits, w, variant, centre, real, causal)
    found, error = mixed(mechanism, logits, real, causal)
    np.testing.assert_allclose(found, expected, atol=1e-11)
    measured = np.abs(expected - softmax(logits, real, causal)).sum(1).max()
    assert error == pytest.approx(measured, rel=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_error_falls_as_one_over_the_root_of_features(variant: str) -> None:
    real = np.ones(SIZE, bool)

    def mean_error(features: int) -> float:
        specs = [performer(features=features, variant=variant, seed=seed) for seed in range(16)]
        found = [mixed(Performer.model_validate(each), logits_of(), real, False) for each in specs]
        return float(np.mean([error for _, error in found]))

    few, many = mean_error(64), mean_error(64 * 64)
    assert 4 < few / many < 12


@pytest.mark.parametrize("variant", VARIANTS)
def test_many_features_are_softmax(variant: str) -> None:
    x = entries((3, 6, 3))
    inputs: dict[str, Any] = {"mask1": masks("holes", x.shape), "dtype": "float64"}
    exact = kernel_matrix(network("softmax"), x, **inputs)
    found = kernel_matrix(network(performer(features=2**14, variant=variant)), x, **inputs)
    for output, kernel in exact.items():
        np.testing.assert_allclose(found[output], kernel, rtol=2e-2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_float32_rounding_is_far_below_the_error_of_the_estimate(variant: str) -> None:
    # Logits of raw inputs with few channels are singular: their root must not amplify rounding.
    x = entries((4, 24, 3))
    layers: list[dict[str, Any]] = [attention(performer(features=32, variant=variant)), RELU, POOL]
    single = kernel_matrix({"layers": layers}, x)["nngp"]
    double = kernel_matrix({"layers": layers}, x, dtype="float64")["nngp"]
    scale = np.sqrt(np.outer(np.diag(double), np.diag(double)))
    assert (np.abs(single - double) / scale).max() < 1e-5


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernels_are_positive_semidefinite_and_rows_have_their_own(variant: str) -> None:
    x, mask = entries((12, 7, 3)), masks("holes", (12, 7, 3))
    assert mask is not None
    spec = network(performer(features=16, variant=variant))
    whole = kernel_matrix(spec, x, mask1=mask, dtype="float64")
    hidden = np.where(mask[..., None], x, np.nan)
    some = [7, 0, 3]
    part = kernel_matrix(spec, hidden[some], hidden, mask1=mask[some], mask2=mask, dtype="float64")
    for output, kernel in whole.items():
        assert np.linalg.eigvalsh(kernel)[0] > -1e-10 * np.abs(kernel).max()
        np.testing.assert_allclose(part[output], kernel[some], rtol=1e-7)


def test_seeds_and_parameters_have_digests_and_kernels_of_their_own() -> None:
    spellings = [
        {}, {"seed": 1}, {"features": 128}, {"orthogonal": False}, {"centre": False},
        {"variant": "hyperbolic"}, {"variant": "trigonometric"},
    ]  # fmt: skip
    specs = [parse_architecture(network(performer(**each))) for each in spellings]
    assert len({spec.digest for spec in specs}) == len(specs)
    x = entries((2, 5, 3))
    first, second = (kernel_matrix(spec, x, dtype="float64")["nngp"] for spec in specs[:2])
    assert np.abs(first - second).max() > 1e-6
    again = kernel_matrix(network(performer(features=256, seed=0)), x, dtype="float64")["nngp"]
    np.testing.assert_array_equal(first, again)


def test_the_callers_positions_count() -> None:
    spec = network(performer(features=8))
    architecture = parse_architecture(spec)
    assert architecture.margin() is None
    assert architecture.exactness == "approximate"
    x, longer = entries((2, 5, 3)), entries((2, 6, 3))
    with pytest.raises(ValueError, match="must agree"):
        kernel_matrix(spec, x, longer)


def test_huge_logits_give_finite_kernels_and_say_that_they_are_wrong() -> None:
    for variant in VARIANTS:
        mechanism = Performer.model_validate(performer(features=32, variant=variant))
        made = mechanism.mixing(jnp.asarray(logits_of(1e4), jnp.float32), None, {})
        assert np.isfinite(made.dense()).all()
        assert made.error is not None
        assert float(made.error) > 0.1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"features": 0}, "greater than or equal to 1"),
        ({"features": 2**14 + 1}, "less than or equal to 16384"),
        ({"features": 7, "variant": "hyperbolic"}, "even number of features, got 7"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"variant": "negative"}, "'positive', 'hyperbolic' or 'trigonometric'"),
        ({"orthogonal": 1}, "valid boolean"),
        ({"rank": 4}, "unknown parameter 'rank'"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        parse_architecture(network(performer(**changes)))
    assert caught.value.pointer.startswith("/layers/2/mechanism")


def test_sqrt_scaling_is_refused() -> None:
    with pytest.raises(SpecError, match="not random") as caught:
        kernel_matrix(network(performer(), scaling="sqrt"), entries((2, 5, 3)))
    assert caught.value.pointer == "/layers/2/scaling"


def test_lost_speed_and_weights_of_either_sign_are_warned_of() -> None:
    inputs = read_inputs(entries((2, 5, 3)))

    def warned(mechanism: dict[str, Any], **parameters: Any) -> list[str]:
        return check_job(parse_architecture(network(mechanism, **parameters)), inputs, None)

    assert warned(performer()) == []
    assert "not of low rank" in warned(performer(), causal=True)[0]
    assert "either sign" in warned(performer(variant="trigonometric"))[0]
