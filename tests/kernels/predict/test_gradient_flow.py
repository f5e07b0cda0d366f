"""The ensemble of trained networks: against an ODE solver, and against networks that are trained."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from kernels.architecture import parse_architecture
from kernels.finite.network import Row, finite_network
from kernels.inputs import read_inputs
from kernels.predict import gradient_flow, ridge
from kernels.predict.factor import factorise
from kernels.predict.spectrum import decompose
from kernels.spec.width import Width
from tests.kernels.predict.matrices import ERF, kernels_of

N, M = 6, 4


def ensemble(
    nngp: np.ndarray, ntk: np.ndarray, y: np.ndarray, time: float, diag_reg: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    n = len(y)
    flow = gradient_flow.flow_until(decompose(ntk[:n, :n]), diag_reg, time)
    assert flow.jitter == 0
    mean = ridge.predict(ntk[n:, :n], flow.apply(y))
    parts = (ntk[n:, :n], nngp[n:, :n], nngp[:n, :n])
    covariance = gradient_flow.ensemble_covariance(flow, *parts, nngp[n:, n:])
    variance = gradient_flow.ensemble_variance(flow, *parts, np.diagonal(nngp[n:, n:]))
    np.testing.assert_allclose(variance, np.diagonal(covariance), atol=1e-12)
    return mean, covariance


@pytest.mark.parametrize(("time", "diag_reg"), [(0.0, 0.0), (0.7, 0.0), (3.0, 0.4), (40.0, 0.4)])
def test_the_closed_form_is_what_the_linear_flow_gives(time: float, diag_reg: float) -> None:
    """a' = -(Theta + r) a + y - f0, f = f0 + Theta a: linear in y and in f0, whose covariance is K;
    integrated for every unit vector in the place of y - f0."""
    _, nngp, ntk = kernels_of(N, M)
    y = np.random.default_rng(3).standard_normal((N, 2))
    rates = ntk[:N, :N] + diag_reg * np.eye(N)

    def slope(_: float, a: np.ndarray) -> np.ndarray:
        return (np.eye(N) - rates @ a.reshape(N, N)).ravel()

    solved = solve_ivp(slope, (0, time), np.zeros(N * N), rtol=1e-11, atol=1e-13, method="DOP853")
    response = solved.y[:, -1].reshape(N, N)
    # f(x) = f0(x) + Theta(x, X) response (y - f0(X))
    a = ntk[N:, :N] @ response
    linear = np.hstack([-a, np.eye(M)])
    mean, covariance = ensemble(nngp, ntk, y, time, diag_reg)
    np.testing.assert_allclose(mean, a @ y, atol=1e-9)
    np.testing.assert_allclose(covariance, linear @ nngp @ linear.T, atol=1e-9)


def test_for_ever_is_the_limit_and_fits_the_training_rows() -> None:
    _, nngp, ntk = kernels_of(N, M)
    y = np.random.default_rng(3).standard_normal((N, 1))
    late, end = (ensemble(nngp, ntk, y, time) for time in (1e6, math.inf))
    np.testing.assert_allclose(late[0], end[0], atol=1e-9)
    np.testing.assert_allclose(late[1], end[1], atol=1e-9)
    flow = gradient_flow.flow_until(decompose(ntk[:N, :N]), 0.0, math.inf)
    np.testing.assert_allclose(ntk[:N, :N] @ flow.apply(y), y, atol=1e-9)
    np.testing.assert_allclose(
        ensemble(nngp, ntk, y, math.inf, 0.2)[0],
        ridge.predict(ntk[N:, :N], ridge.dual_weights(factorise(ntk[:N, :N], 0.2), y)),
        atol=1e-10,
    )


def test_slow_directions_keep_their_digits() -> None:
    spectrum = decompose(np.diag([1e-9, 1.0]))
    flow = gradient_flow.flow_until(spectrum, 0.0, 1e-3)
    # (1 - exp(-l t)) / l = t (1 - l t / 2 + ...)
    np.testing.assert_allclose(flow.shares, [1e-3, -np.expm1(-1e-3)], rtol=1e-12)


@pytest.mark.slow
def test_trained_networks_are_distributed_as_the_ensemble_says() -> None:
    width, networks, time, rate = 512, 400, 2.0, 0.02
    x, nngp, ntk = kernels_of(N, M, seed=5)
    y = np.sin(2 * x[:N, :1]) + 0.5
    mean, covariance = ensemble(nngp, ntk, y, time)

    inputs = read_inputs(x, dtype="float32")
    network, numbers = finite_network(parse_architecture(ERF), 4, (), Width(width))
    rows = Row.of(inputs, np.zeros((N + M, 2), np.uint32))
    y1 = jnp.asarray(y[:, 0], jnp.float32)

    def outputs(weights, taken):
        # One output, as its own network: the others share the hidden layer and train nothing.
        return jax.vmap(lambda row: network.apply(weights, numbers, row, jax.random.key(0))[0])(
            taken
        )

    def loss(weights):
        return 0.5 * jnp.sum((outputs(weights, jax.tree.map(lambda a: a[:N], rows)) - y1) ** 2)

    def trained(key):
        def step(weights, _):
            return jax.tree.map(lambda w, g: w - rate * g, weights, jax.grad(loss)(weights)), None

        weights, _ = jax.lax.scan(step, network.draw(key), None, length=round(time / rate))
        return outputs(weights, jax.tree.map(lambda a: a[N:], rows))

    keys = jax.random.split(jax.random.key(1), networks)
    found = np.asarray(jax.jit(lambda k: jax.lax.map(trained, k, batch_size=8))(keys), np.float64)
    stderr = found.std(0, ddof=1) / math.sqrt(networks)
    # Finite width and steps bias both by a few parts in a thousand of the outputs' scale.
    bias = 0.01 * np.abs(y).max()
    assert (np.abs(found.mean(0) - mean[:, 0]) < 4 * stderr + bias).all()
    # Far from where the networks started: without training they would be elsewhere.
    assert (np.abs(mean[:, 0]) > 10 * (stderr + bias)).any()
    ratio = found.var(0, ddof=1) / np.diagonal(covariance)
    assert (np.abs(ratio - 1) < 4 * math.sqrt(2 / networks) + 0.05).all(), ratio
    assert (np.diagonal(covariance) < 0.8 * np.diagonal(nngp[N:, N:])).any()
