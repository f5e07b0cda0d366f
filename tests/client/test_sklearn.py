"""Kernels of the service inside scikit-learn's own estimators."""

# scikit-learn has no annotations, and what pyright infers from its defaults is narrower than it takes.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOperatorIssue=false, reportGeneralTypeIssues=false

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import gramd
from gramd.sklearn import Kernel, KernelMatrix, NNGPClassifier, NNGPRegressor, NTKRegressor
from kernels.matrix import kernel_matrix

from .conftest import ATTENTION, DENSE

RNG = np.random.default_rng(3)
X = RNG.normal(size=(24, 3))
Y = np.sin(X[:, 0])
LABELS = np.where(X[:, 0] + X[:, 1] > 0, "up", "down")
NEW = RNG.normal(size=(5, 3))


def gram(kind: str, x1: np.ndarray, x2: np.ndarray | None = None) -> np.ndarray:
    """The same without a service."""
    return kernel_matrix(DENSE, x1, x2, outputs=(kind,), dtype="float64")[kind]


def test_the_kernel_is_at_the_top_too() -> None:
    assert gramd.Kernel is Kernel
    with pytest.raises(AttributeError, match="'gramd' has no attribute 'Kern'"):
        _ = gramd.Kern  # pyright: ignore[reportAttributeAccessIssue]


def test_a_gaussian_process_with_the_kernel_is_the_closed_form(url: str) -> None:
    kernel = Kernel(DENSE, url=url)
    process = GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None).fit(X, Y)
    mean, std = process.predict(NEW, return_std=True)
    inverse = np.linalg.inv(gram("nngp", X) + 0.1 * np.eye(24))
    cross = gram("nngp", NEW, X)
    np.testing.assert_allclose(mean, cross @ inverse @ Y, rtol=1e-8)
    variance = np.diag(gram("nngp", NEW)) - np.sum(cross @ inverse * cross, axis=1)
    np.testing.assert_allclose(std**2, variance, rtol=1e-6)
    value, gradient = process.log_marginal_likelihood(np.empty(0), eval_gradient=True)
    assert (value, gradient.shape) == (pytest.approx(process.log_marginal_likelihood_value_), (0,))


def test_noise_beside_the_kernel_is_optimised(url: str) -> None:
    kernel = Kernel(DENSE, url=url) + WhiteKernel(0.5, (1e-3, 10))
    process = GaussianProcessRegressor(kernel).fit(X, Y)
    assert process.kernel_.k2.noise_level != 0.5
    assert process.log_marginal_likelihood_value_ > process.log_marginal_likelihood(kernel.theta)


def test_kernel_ridge_and_support_vectors_take_the_same_kernel(url: str) -> None:
    kernel = Kernel(DENSE, kind="ntk", url=url)
    ridge = KernelRidge(alpha=0.1, kernel=kernel).fit(X, Y)
    weights = np.linalg.solve(gram("ntk", X) + 0.1 * np.eye(24), Y)
    np.testing.assert_allclose(ridge.predict(NEW), gram("ntk", NEW, X) @ weights, rtol=1e-8)
    machine = SVC(kernel=kernel).fit(X, LABELS)
    precomputed = SVC(kernel="precomputed").fit(gram("ntk", X), LABELS)
    found = machine.decision_function(NEW)
    np.testing.assert_allclose(found, precomputed.decision_function(gram("ntk", NEW, X)), rtol=1e-6)


def test_precomputed_kernels_come_from_a_pipeline(url: str) -> None:
    pipeline = make_pipeline(KernelMatrix(DENSE, url=url), SVC(kernel="precomputed"))
    scores = cross_val_score(pipeline, X, LABELS, cv=3)
    assert scores.mean() > 0.7
    pipeline.fit(X, LABELS)
    assert pipeline[0].transform(NEW).shape == (5, 24)


def test_inputs_that_are_no_vectors(url: str) -> None:
    ragged = [RNG.normal(size=(n, 3)) for n in (4, 6, 5)]
    matrix = KernelMatrix(ATTENTION, url=url).fit(ragged)
    np.testing.assert_allclose(matrix.transform(ragged), matrix.fit_transform(ragged), rtol=1e-10)
    sequences = RNG.normal(size=(4, 6, 3))
    flat = Kernel(ATTENTION, input_shape=(6, 3), url=url)(sequences.reshape(4, 18))
    expected = kernel_matrix(ATTENTION, sequences, outputs=("nngp",), dtype="float64")["nngp"]
    np.testing.assert_array_equal(flat, expected)
    with pytest.raises(ValueError, match="rows of 18 numbers"):
        Kernel(ATTENTION, input_shape=(6, 3), url=url)(np.ones((4, 17)))
    vectors = Kernel(DENSE, input_shape=3, url=url)(X)
    np.testing.assert_array_equal(vectors, Kernel(DENSE, url=url)(X))
    with pytest.raises(TypeError, match=r"expected an input_shape such as \(T, d\), got 'T'"):
        Kernel(DENSE, input_shape="T", url=url)(X)


def test_what_kernels_leave_behind_is_no_job(client: gramd.Client, url: str) -> None:
    before = [job.id for job in client.kernels.newest()]
    x = RNG.normal(size=(12, 3))
    pipeline = make_pipeline(KernelMatrix(DENSE, url=url), SVC(kernel="precomputed"))
    cross_val_score(pipeline, x, x[:, 0] > np.median(x[:, 0]), cv=2)
    Kernel(DENSE, url=url).diag(x)
    assert [job.id for job in client.kernels.newest()] == before
    # What was computed stays.
    again = client.kernel(DENSE, x, form="diagonal", outputs=["nngp"], dtype="float64")
    assert again.receipt["tiles"]["reused"] == 1


class Column:
    """As much of a data frame's column as the client looks at."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.values = np.empty(len(arrays), object)
        self.values[:] = arrays
        self.shape = self.values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self.values


@pytest.mark.parametrize("lengths", [(4, 6, 5, 3), (5, 5, 5, 5)], ids=["ragged", "equal"])
def test_arrays_in_an_array_of_objects_or_a_column_are_a_list(
    url: str, lengths: tuple[int, ...]
) -> None:
    arrays = [RNG.normal(size=(n, 3)) for n in lengths]
    expected = KernelMatrix(ATTENTION, url=url).fit_transform(arrays)
    fitted = NNGPClassifier(ATTENTION, url=url).fit(arrays, [0, 1, 0, 1])
    for boxed in (Column(arrays), Column(arrays).values):
        found = KernelMatrix(ATTENTION, url=url).fit_transform(boxed)
        np.testing.assert_array_equal(found, expected)
        same = NNGPClassifier(ATTENTION, url=url).fit(boxed, [0, 1, 0, 1])
        np.testing.assert_array_equal(
            same.decision_function(boxed), fitted.decision_function(arrays)
        )


def test_estimators_take_lists_of_sequences_of_differing_lengths(url: str) -> None:
    ragged = [RNG.normal(size=(2 + i % 4, 3)) for i in range(12)]
    names = np.array(["up" if x[:, 0].mean() > 0 else "down" for x in ragged])
    classifier = NNGPClassifier(ATTENTION, url=url).fit(ragged, names)
    assert set(classifier.predict(ragged[:5])) <= {"up", "down"}
    y = [x[:, 0].mean() for x in ragged]
    regressor = NTKRegressor(ATTENTION, diag_reg=1e-6, url=url).fit(ragged, y)
    mean, std = regressor.predict(ragged, return_std=True)
    np.testing.assert_allclose(mean, y, atol=0.05)
    assert std.shape == (12,)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier.fit(ragged, names[:3])
    with pytest.raises(ValueError, match=r"X\[0\] is \(2,\).* tokens need an embedding"):
        classifier.fit([[1.0, 2.0], [3.0]], names[:2])


@pytest.mark.parametrize("estimator", [NNGPRegressor, NTKRegressor])
def test_targets_in_other_units_are_predicted_in_them(url: str, estimator) -> None:
    noise = 0.1 * np.random.default_rng(4).normal(size=24)
    one = estimator(DENSE, diag_reg=0.01, url=url).fit(X, Y + noise)
    other = clone(one).fit(X, np.stack([1e6 + 1e3 * (Y + noise), np.ones(24)], axis=1))
    (mean, std), (moved, wider) = (each.predict(NEW, return_std=True) for each in (one, other))
    np.testing.assert_allclose(moved[:, 0], 1e6 + 1e3 * mean, rtol=1e-9)
    np.testing.assert_allclose(moved[:, 1], 1.0)
    if estimator is NTKRegressor:
        np.testing.assert_allclose(wider[:, 0], 1e3 * std, rtol=1e-9)
    covariance = other.predict(NEW, return_cov=True)[1]
    np.testing.assert_allclose(np.einsum("iik->ik", covariance), wider**2, rtol=1e-9)
    left = estimator(DENSE, diag_reg=0.01, normalize_y=False, url=url).fit(X, Y + noise)
    assert not np.allclose(left.predict(NEW), mean, rtol=1e-6)


def test_equal_targets_have_no_spread_and_no_say_in_that_of_others(url: str) -> None:
    """The mean of 24 times 0.1 is not 0.1: what is left of them is not to be brought to unit variance."""

    def bars(constant: float) -> np.ndarray:
        process = NNGPRegressor(DENSE, url=url).fit(X, np.stack([Y, np.full(24, constant)], 1))
        mean, std = process.predict(NEW, return_std=True)
        np.testing.assert_allclose(mean[:, 1], constant)
        return std

    np.testing.assert_allclose(bars(0.1), bars(1.0), rtol=1e-9)
    with pytest.raises(gramd.GramdError, match="1e\\+100"):
        NNGPRegressor(DENSE, url=url).fit(X, 1e200 * Y)


def test_error_bars_hold_what_they_say_whatever_the_units(url: str) -> None:
    """Two standard deviations, noise included, of 200 targets in units far from the prior's."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(260, 3))
    y = 500 + 40 * (np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.normal(size=260))
    process = NNGPRegressor(DENSE, diag_reg="loo", url=url).fit(x[:60], y[:60])
    mean, std = process.predict(x[60:], return_std=True)
    inside = np.abs(mean - y[60:]) < 2 * np.sqrt(std**2 + process.noise_)
    assert 0.88 < inside.mean() < 0.995
    fixed = NNGPRegressor(DENSE, diag_reg="loo", output_scale=1.0, normalize_y=False, url=url)
    mean, std = fixed.fit(x[:60], y[:60]).predict(x[60:], return_std=True)
    assert np.mean(np.abs(mean - y[60:]) < 2 * np.sqrt(std**2 + fixed.noise_)) < 0.5


def test_estimators_of_sequences_count_channels_not_positions(url: str) -> None:
    sequences = RNG.normal(size=(8, 4, 3))
    y = sequences[:, :, 0].mean(axis=1)
    regressor = NTKRegressor(ATTENTION, url=url).fit(sequences, y)
    assert regressor.n_features_in_ == 3
    longer = np.pad(sequences, ((0, 0), (0, 2), (0, 0)))
    assert regressor.predict(longer).shape == (8,)
    assert regressor.predict([sequences[0], longer[1]]).shape == (2,)
    for wrong in (sequences[:, :, :2], [sequences[0, :, :2], longer[1, :, :2]]):
        with pytest.raises(ValueError, match="X has 2 channels, but NTKRegressor is expecting 3"):
            regressor.predict(wrong)
    assert (
        NTKRegressor(ATTENTION, url=url).fit([longer[0], sequences[1]], [0, 1]).n_features_in_ == 3
    )


def test_arguments_of_estimators_as_people_give_them(url: str) -> None:
    expected = NTKRegressor(DENSE, url=url).fit(X, Y).predict(NEW)
    endless = NTKRegressor(DENSE, time=np.inf, diag_reg=np.float32(1e-4), url=url).fit(X, Y)
    np.testing.assert_allclose(endless.predict(NEW), expected, rtol=1e-6)
    assert endless.receipt_["model"]["time"] == "infinity"
    with pytest.raises(TypeError, match="expected diag_reg to be a number, 'loo' or a mapping"):
        NTKRegressor(DENSE, diag_reg=None, url=url).fit(X, Y)


def test_kernels_can_be_copied_and_sent_elsewhere(url: str) -> None:
    kernel = Kernel(DENSE, kind="ntk", url=url)
    copy = pickle.loads(pickle.dumps(clone(kernel)))  # noqa: S301  (our own)
    assert copy == kernel
    assert (copy.n_dims, repr(copy)) == (0, "Kernel(ntk of dense, relu, dense)")
    np.testing.assert_array_equal(copy.diag(X), kernel.diag(X))
    np.testing.assert_allclose(kernel.diag(X), np.diag(kernel(X)), rtol=1e-12)
