"""Targets, and what a matrix's diagnosis says."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.errors import InputError
from kernels.predict.diagnosis import diagnose
from kernels.predict.factor import factorise
from kernels.predict.targets import read_targets


def test_numbers_stay_what_they_are() -> None:
    flat = read_targets(np.array([1, 2, 3]), "regression", 3)
    assert (flat.values.shape, flat.flat, flat.labels) == ((3, 1), True, None)
    wide = read_targets(np.ones((3, 2), np.float32), "regression", 3)
    assert (wide.values.dtype, wide.flat) == (np.float64, False)


def test_classes_become_centred_one_hot_and_back() -> None:
    targets = read_targets(np.array([7.0, -1.0, 7.0, 2.0]), "classification", 4)
    assert targets.labels == (-1, 2, 7)
    np.testing.assert_allclose(targets.values.sum(1), 0, atol=1e-15)
    np.testing.assert_array_equal(targets.classes(targets.values), [7, -1, 7, 2])
    centred = np.eye(3)[[2, 0, 2, 1]] - 1 / 3
    np.testing.assert_array_equal(targets.values, centred)


@pytest.mark.parametrize(
    ("y", "task", "match"),
    [
        ([1.0, 2.0], "regression", "one row of targets"),
        (np.ones((3, 1, 1)), "regression", "one row of targets"),
        (np.ones((3, 0)), "regression", "at least one target a row.* axis of targets is empty"),
        ([1.0, np.nan, 2.0], "regression", "in row 1"),
        ([1.0, 2.0, -1.797e308], "regression", "up to 1e\\+100 in size, .* in row 2"),
        ([1.0, 1e101, 2.0], "regression", "up to 1e\\+100 in size, .* in row 1"),
        ([1.0, 2.5, 2.0], "classification", "whole numbers"),
        ([0, 1, 2**60], "classification", "whole numbers"),
        (np.ones((3, 2)), "classification", "one class a row"),
        ([4, 4, 4], "classification", "only 4"),
    ],
)
def test_wrong_targets_are_refused(y, task, match) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read_targets(np.asarray(y), task, 3, "/y_train")
    assert caught.value.pointer == "/y_train"


def test_a_diagnosis_suggests_a_jitter_that_suffices() -> None:
    x = np.random.default_rng(0).standard_normal((20, 3))
    good, values = diagnose(x @ x.T + np.eye(20))
    assert good.suggested_jitter == good.asymmetry == 0
    assert good.condition_number == pytest.approx(values[-1] / values[0])
    assert (good.smallest_eigenvalue, good.largest_eigenvalue) == (values[0], values[-1])
    singular = x @ x.T
    found, _ = diagnose(singular)
    assert found.suggested_jitter is not None
    assert found.suggested_jitter > 0
    assert factorise(singular, found.suggested_jitter).jitter == 0
    assert diagnose(np.array([[0.0, 1.0], [1.0, 0.0]]))[0].suggested_jitter is None
    assert diagnose(np.array([[1.0, 0.5], [0.0, 1.0]]))[0].asymmetry == 0.5
