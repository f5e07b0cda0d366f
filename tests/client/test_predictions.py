"""Predictions through the client, and estimators that are nothing else."""

# scikit-learn has no annotations, and what pyright infers from its defaults is narrower than it takes.
# pyright: reportAssignmentType=false, reportOperatorIssue=false

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import make_blobs
from sklearn.utils.estimator_checks import check_estimator

import gramd
from gramd.sklearn import NNGPClassifier, NNGPRegressor, NTKClassifier, NTKRegressor
from kernels.matrix import kernel_matrix

from .conftest import ATTENTION, DENSE

RNG = np.random.default_rng(4)
X = RNG.normal(size=(20, 3))
Y = np.sin(X[:, 0])
NEW = RNG.normal(size=(4, 3))


def posterior(kind: str, reg: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance in closed form, the regularisation relative to the mean diagonal."""

    def kernel(x1: np.ndarray, x2: np.ndarray | None = None) -> np.ndarray:
        return kernel_matrix(DENSE, x1, x2, outputs=(kind,), dtype="float64")[kind]

    gram, cross = kernel(X), kernel(NEW, X)
    inverse = np.linalg.inv(gram + reg * np.trace(gram) / len(X) * np.eye(len(X)))
    return cross @ inverse @ Y, kernel(NEW) - cross @ inverse @ cross.T


def test_a_posterior_in_one_call(client: gramd.Client) -> None:
    outputs = ("mean", "variance", "covariance")
    model = {"type": "gaussian_process", "diag_reg": {"type": "relative", "value": 0.01}}
    answer = client.predict(DENSE, X, Y, NEW, model=model, outputs=outputs, dtype="float64")
    mean, covariance = posterior("nngp", 0.01)
    np.testing.assert_allclose(answer.mean, mean, rtol=1e-8)
    np.testing.assert_allclose(answer.covariance, covariance, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(answer.variance, np.diag(covariance), rtol=1e-6, atol=1e-9)
    with pytest.raises(KeyError, match="ask for classes"):
        _ = answer.classes
    with pytest.raises(ValueError, match="it has: mean, variance, covariance"):
        answer.job.result("kernels.train")


def test_a_prediction_step_by_step(client: gramd.Client) -> None:
    job = client.predictions.submit(DENSE, X, Y, NEW, model="kernel_ridge")
    assert job.id in [other.id for other in client.predictions.newest(5)]
    answer = client.predictions.collect(client.predictions.wait(job))
    assert answer.job.tiles_done == answer.job.tiles_total > 0
    assert answer.mean.shape == (4,)
    client.predictions.delete(job)
    with pytest.raises(gramd.NotFound):
        client.predictions.get(job)


def test_classes_of_sequences_of_differing_lengths(client: gramd.Client) -> None:
    ragged = [RNG.normal(size=(3 + i % 3, 2)) / 4 + (-1) ** i for i in range(12)]
    labels = np.arange(12) % 2 + 7
    answer = client.predict(ATTENTION, ragged[:9], labels[:9], ragged[9:], task="classification")
    assert answer.mean.shape == (3, 2)
    np.testing.assert_array_equal(answer.classes, labels[9:])


def test_mistakes_in_targets_point_at_the_place(client: gramd.Client) -> None:
    with pytest.raises(gramd.InvalidRequest) as caught:
        client.predict(DENSE, X, Y[:5], NEW)
    assert caught.value.pointer == "/y_train"
    with pytest.raises(TypeError, match="y_train"):
        client.predict(DENSE, X, ["a"] * 20, NEW)


async def test_predictions_with_await(url: str) -> None:
    async with gramd.AsyncClient(url, progress=False) as client:
        answer = await client.predict(DENSE, X, Y, NEW, model="gradient_flow")
    assert answer.mean.shape == (4,)


def test_a_regressor_is_the_posterior(url: str) -> None:
    model = NNGPRegressor(DENSE, diag_reg=0.01, output_scale=1.0, normalize_y=False, url=url)
    model.fit(X, Y)
    expected, covariance = posterior("nngp", 0.01)
    mean, std = model.predict(NEW, return_std=True)
    np.testing.assert_allclose(mean, expected, rtol=1e-8)
    np.testing.assert_allclose(std**2, np.diag(covariance), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        model.predict(NEW, return_cov=True)[1], covariance, rtol=1e-6, atol=1e-9
    )
    assert model.score(X, Y) > 0.9


def test_a_flow_begins_at_nothing_and_ends_at_the_posterior(url: str) -> None:
    start = NTKRegressor(DENSE, time=0.0, url=url).fit(X, Y)
    np.testing.assert_allclose(start.predict(NEW), Y.mean(), atol=1e-12)
    end = NTKRegressor(DENSE, diag_reg=0.01, normalize_y=False, url=url).fit(X, Y)
    np.testing.assert_allclose(end.predict(NEW), posterior("ntk", 0.01)[0], rtol=1e-7)


def test_leave_one_out_chooses(url: str) -> None:
    noisy = Y + RNG.normal(size=20)
    model = NNGPRegressor(DENSE, diag_reg="loo", url=url).fit(X, noisy)
    assert model.receipt_["diag_reg"]["relative"] > 1e-3


@pytest.mark.parametrize("estimator", [NNGPClassifier, NTKClassifier])
def test_classifiers_name_the_classes_they_were_given(
    url: str, estimator: type[NNGPClassifier]
) -> None:
    x, place = make_blobs(30, centers=3, random_state=0)
    names = np.array(["a", "b", "c"])[place]
    model = estimator(DENSE, url=url).fit(x[:20], names[:20])
    assert (model.predict(x[20:]) == names[20:]).mean() > 0.7
    assert model.decision_function(x).shape == (30, 3)
    two = estimator(DENSE, url=url).fit(x[:20], place[:20] > 0)
    assert two.decision_function(x).shape == (30,)
    with pytest.raises(ValueError, match="two classes"):
        estimator(DENSE, url=url).fit(x, np.zeros(30))


@pytest.mark.parametrize(
    "estimator",
    [
        NNGPRegressor,
        NTKRegressor,
        NNGPClassifier,
        NTKClassifier,
    ],
)
@pytest.mark.slow
def test_estimators_are_what_scikit_learn_expects(
    url: str, estimator: Callable[..., BaseEstimator]
) -> None:
    results = check_estimator(estimator(url=url), on_skip=None)
    assert sum(result["status"] == "passed" for result in results) > 45
