"""Posterior, likelihood and ridge on the same matrices as scikit-learn's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge

from kernels.errors import NumericsError
from kernels.predict import gaussian_process, leave_one_out, ridge
from kernels.predict.factor import JITTERS, Factor, factorise
from kernels.predict.model import GRID
from kernels.predict.spectrum import decompose
from tests.kernels.predict.matrices import Precomputed, kernels_of

N, M = 40, 9


def problem(outputs: int = 2) -> tuple[np.ndarray, np.ndarray]:
    x, nngp, _ = kernels_of(N, M)
    y = np.sin(x[:N, :1] * np.arange(1, outputs + 1)) + 0.1
    return nngp, y


@pytest.mark.parametrize("outputs", [1, 2])
def test_gaussian_process(outputs: int) -> None:
    nngp, y = problem(outputs)
    rows = np.arange(N + M)[:, None]
    theirs = GaussianProcessRegressor(Precomputed(nngp), alpha=0.05, optimizer=None)
    theirs.fit(rows[:N], y)
    mean, covariance = theirs.predict(rows[N:], return_cov=True)

    factor = factorise(nngp[:N, :N], 0.05)
    weights = ridge.dual_weights(factor, y)
    cross, prior = nngp[N:, :N], nngp[N:, N:]
    assert (factor.jitter, factor.attempts) == (0.0, 1)
    np.testing.assert_allclose(ridge.predict(cross, weights), mean.reshape(M, outputs), atol=1e-8)
    found = gaussian_process.posterior_covariance(factor, cross, prior)
    np.testing.assert_allclose(found, covariance.reshape(M, M, -1)[..., 0], atol=1e-8)
    variance = gaussian_process.posterior_variance(factor, cross, np.diagonal(prior))
    np.testing.assert_allclose(variance, np.diagonal(found), atol=1e-12)
    likelihood = gaussian_process.log_marginal_likelihood(factor, weights, y)
    assert likelihood == pytest.approx(theirs.log_marginal_likelihood_value_, abs=1e-8)


def test_a_scaled_process_is_that_of_the_scaled_kernel_and_noise() -> None:
    nngp, y = problem()
    scale = 7.0
    scaled = factorise(scale * nngp[:N, :N], scale * 0.05)
    factor = factorise(nngp[:N, :N], 0.05)
    weights, theirs = ridge.dual_weights(factor, y), ridge.dual_weights(scaled, y)
    assert gaussian_process.log_marginal_likelihood(factor, weights, y, scale) == pytest.approx(
        gaussian_process.log_marginal_likelihood(scaled, theirs, y), rel=1e-9
    )
    found = leave_one_out.score(weights, factor.inverse_diagonal(), scale)
    expected = leave_one_out.score(theirs, scaled.inverse_diagonal())
    assert (found.mse, found.log_density) == pytest.approx(
        (expected.mse, expected.log_density), rel=1e-9
    )


def test_no_other_output_scale_has_a_better_leave_one_out_density() -> None:
    nngp, y = problem()
    factor = factorise(nngp[:N, :N], 0.05)
    weights, diagonal = factor.solve(y), factor.inverse_diagonal()
    best = leave_one_out.output_scale(weights, diagonal)
    density = leave_one_out.score(weights, diagonal, best).log_density
    for times in (0.5, 0.99, 1.01, 2.0):
        assert leave_one_out.score(weights, diagonal, times * best).log_density < density
    assert leave_one_out.output_scale(0 * weights, diagonal) == 1
    # Of targets a thousand times as large it is a million times as large.
    assert leave_one_out.output_scale(1e3 * weights, diagonal) == pytest.approx(1e6 * best)


def test_kernel_ridge() -> None:
    _, _, ntk = kernels_of(N, M)
    _, y = problem()
    theirs = KernelRidge(alpha=0.3, kernel="precomputed").fit(ntk[:N, :N], y)
    weights = ridge.dual_weights(factorise(ntk[:N, :N], 0.3), y)
    np.testing.assert_allclose(
        ridge.predict(ntk[N:, :N], weights), theirs.predict(ntk[N:, :N]), atol=1e-8
    )


def test_leave_one_out_is_what_leaving_one_out_gives() -> None:
    nngp, y = problem()
    train = nngp[:N, :N]
    errors, densities = [], []
    for out in range(N):
        rest = np.delete(np.arange(N), out)
        factor = factorise(train[np.ix_(rest, rest)], 0.05)
        cross = train[[out]][:, rest]
        mean = ridge.predict(cross, ridge.dual_weights(factor, y[rest]))
        variance = gaussian_process.posterior_variance(factor, cross, train[[out], [out]]) + 0.05
        errors.append((mean - y[out]) ** 2)
        densities.append(-0.5 * (errors[-1] / variance + np.log(2 * np.pi * variance)))
    factor = factorise(train, 0.05)
    found = leave_one_out.score(factor.solve(y), factor.inverse_diagonal())
    assert found.mse == pytest.approx(np.mean(errors), rel=1e-9)
    assert found.log_density == pytest.approx(np.mean(densities), rel=1e-9)


@pytest.mark.parametrize("criterion", ["mse", "log_density"])
def test_the_chosen_diag_reg_scores_best_and_as_its_own_factor_says(criterion) -> None:
    nngp, y = problem()
    y = y + np.random.default_rng(1).standard_normal(y.shape) * 0.3
    spectrum = decompose(nngp[:N, :N])
    choice = leave_one_out.choose(spectrum, y, GRID, criterion)
    by_factors = []
    for relative in GRID:
        factor = factorise(nngp[:N, :N], relative * spectrum.mean_diagonal)
        by_factors.append(leave_one_out.score(factor.solve(y), factor.inverse_diagonal()))
    best = int(np.argmax([item.of(criterion) for item in by_factors]))
    assert choice.diag_reg == pytest.approx(GRID[best] * spectrum.mean_diagonal)
    # The best one is in the middle of the grid: both noise and kernel matter here.
    assert 0 < best < len(GRID) - 1
    assert [item.mse for item in choice.scores] == pytest.approx(
        [item.mse for item in by_factors], rel=1e-6
    )


def test_the_diag_reg_of_a_best_scale_does_not_depend_on_the_units_of_the_targets() -> None:
    nngp, y = problem()
    y = y + np.random.default_rng(1).standard_normal(y.shape) * 0.3
    spectrum = decompose(nngp[:N, :N])
    one, large = (
        leave_one_out.choose(spectrum, units * y, GRID, "log_density", "loo")
        for units in (1.0, 1e4)
    )
    assert one.diag_reg == large.diag_reg
    assert leave_one_out.choose(spectrum, 1e4 * y, GRID, "log_density").diag_reg != one.diag_reg
    by_factors = []
    for relative in GRID:
        factor = factorise(nngp[:N, :N], relative * spectrum.mean_diagonal)
        weights, diagonal = factor.solve(y), factor.inverse_diagonal()
        scale = leave_one_out.output_scale(weights, diagonal)
        by_factors.append(leave_one_out.score(weights, diagonal, scale).log_density)
    assert [item.log_density for item in one.scores] == pytest.approx(by_factors, rel=1e-6)


def test_candidates_that_leave_a_kernel_indefinite_have_no_score() -> None:
    nngp, y = problem()
    spectrum = decompose(nngp[:N, :N])
    rough = replace(spectrum, values=spectrum.values - spectrum.values[0] - 0.02)
    choice = leave_one_out.choose(rough, y, GRID, "mse")
    scored = [relative for relative, item in zip(GRID, choice.scores, strict=True) if item]
    assert 0 < len(scored) < len(GRID)
    assert scored == list(GRID[-len(scored) :])
    assert choice.diag_reg in [relative * rough.mean_diagonal for relative in scored]
    with pytest.raises(NumericsError, match="ask for a larger diag_reg"):
        leave_one_out.choose(rough, y, GRID[: -len(scored)], "mse")


def test_jitter_is_added_only_when_needed_and_is_told() -> None:
    x = np.random.default_rng(0).standard_normal((30, 3))
    singular = x @ x.T
    factor = factorise(singular, 0.0)
    scale = np.diagonal(singular).mean()
    assert factor.jitter in [relative * scale for relative in JITTERS[1:]]
    assert factor.attempts == 1 + [relative * scale for relative in JITTERS].index(factor.jitter)
    regularised = singular + factor.jitter * np.eye(30)
    np.testing.assert_allclose(factor.lower @ factor.lower.T, regularised, atol=1e-12)
    assert factorise(singular, 1e-3).jitter == 0
    assert decompose(singular).jitter(0.0) > 0
    assert decompose(singular).jitter(1e-3) == 0


@pytest.mark.parametrize("seed", range(6))
def test_pivots_that_are_only_rounding_are_not_divided_by(seed: int) -> None:
    """A row twice, with other targets: without jitter the factor exists by chance, and all is wrong."""
    _, kernel, _ = kernels_of(6, 0, seed=seed)
    kernel = kernel[np.ix_([0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4, 0])]
    y = np.random.default_rng(seed).normal(size=(6, 1))
    factor = factorise(kernel, 0.0)
    assert factor.jitter > 0
    misfit = kernel @ ridge.dual_weights(factor, y) - y
    assert np.abs(misfit[1:5]).max() < 1e-2 * np.abs(y).max()


def test_rows_that_are_small_beside_others_are_no_rounding() -> None:
    """Inputs of very different sizes: a network without biases has a kernel of such rows."""
    nngp, y = problem(1)
    sizes = np.logspace(-9, 9, N)
    factor = factorise(nngp[:N, :N] * np.outer(sizes, sizes), 0.0)
    assert factor.jitter == 0
    found = sizes[:, None] * ridge.dual_weights(factor, sizes[:, None] * y)
    np.testing.assert_allclose(found, np.linalg.solve(nngp[:N, :N], y), rtol=1e-6)


def test_what_cannot_be_factorised_is_refused_with_what_to_do() -> None:
    indefinite = np.array([[1.0, 2.0], [2.0, 1.0]])
    for attempt in (lambda: factorise(indefinite, 0.0), lambda: decompose(indefinite).jitter(0.0)):
        with pytest.raises(NumericsError, match="larger diag_reg"):
            attempt()
    with pytest.raises(NumericsError, match="nothing can be learnt"):
        factorise(np.zeros((2, 2)), 0.0)
    for diag_reg in (1.79e308, np.inf):
        with pytest.raises(NumericsError, match="ask for a smaller diag_reg"):
            factorise(np.full((2, 2), 1e307), diag_reg)


def test_a_factor_is_made_of_its_lower_half_alone() -> None:
    nngp, y = problem()
    lower = np.tril(nngp[:N, :N])
    assert isinstance(factorise(lower, 0.1), Factor)
    np.testing.assert_array_equal(
        factorise(lower, 0.1).solve(y), factorise(nngp[:N, :N], 0.1).solve(y)
    )
