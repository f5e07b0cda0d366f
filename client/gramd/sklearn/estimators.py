"""Estimators whose fitting and predicting the service does: POST /v1/predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets

from gramd.arrays import Array
from gramd.sklearn.base import Flow, Network

_ROUNDING = 10 * float(np.finfo(np.float64).eps)
"""Of a mean: equal targets may lie that far from it, as 24 times 0.1 does."""


class _Regressor(RegressorMixin, Network):
    """Regression, of targets with zero mean and unit variance where `normalize_y` says so."""

    normalize_y: bool

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Learn y (n) or (n, outputs) of X (n, features), (n, T, d), or a list of arrays (T_i, d)."""
        inputs, targets = self._learnt(X, y, multi_output=True, y_numeric=True)
        targets = np.asarray(targets, np.float64)
        self.y_mean_, self.y_scale_ = np.zeros(targets.shape[1:]), np.ones(targets.shape[1:])
        if self.normalize_y:
            self.y_mean_, self.y_scale_ = _mean_and_scale(targets)
        return self._fit(inputs, (targets - self.y_mean_) / self.y_scale_)

    def predict(self, X: Any, return_std: bool = False, return_cov: bool = False) -> Any:
        """The mean (m) or (m, outputs); with it the standard deviation, of the same shape, or the
        covariance (m, m) or (m, m, outputs), of the function, without the noise of a target."""
        if return_std and return_cov:
            raise ValueError("ask for return_std or return_cov: the one is the other's diagonal")
        spread = ["variance"] * return_std + ["covariance"] * return_cov
        answer = self._predict(self._checked(X), ["mean", *spread])
        mean = answer.mean * self.y_scale_ + self.y_mean_
        if return_std:
            return mean, np.multiply.outer(np.sqrt(answer.variance), self.y_scale_)
        if return_cov:
            return mean, np.multiply.outer(answer.covariance, self.y_scale_**2)
        return mean


def _mean_and_scale(targets: Array) -> tuple[Array, Array]:
    """Of each output the mean, and the standard deviation: 1 where that is rounding of the mean, or
    leaves the range of float64, whose targets the service refuses in words."""
    with np.errstate(over="ignore"):
        mean, spread = targets.mean(axis=0), targets.std(axis=0)
    usable = (spread > _ROUNDING * np.abs(mean)) & np.isfinite(spread)
    return np.where(np.isfinite(mean), mean, 0.0), np.where(usable, spread, 1.0)


class _Classifier(ClassifierMixin, Network):
    _task = "classification"

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the classes y (n) of X (n, features), (n, T, d), or a list of arrays (T_i, d)."""
        inputs, targets = self._learnt(X, y)
        check_classification_targets(targets)
        self.classes_, places = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"expected at least two classes, got 1 class: {self.classes_[0]!r}")
        return self._fit(inputs, places)

    def decision_function(self, X: Any) -> Array:
        """Means (m, classes) of centred one-hot targets; of two classes (m), positive for the second.

        They are regression outputs, not probabilities, which least squares does not give.
        """
        mean = self._predict(self._checked(X), ["mean"]).mean
        return mean[:, 1] - mean[:, 0] if len(self.classes_) == 2 else mean

    def predict(self, X: Any) -> Array:
        """The class with the largest mean, (m)."""
        scores = self.decision_function(X)
        place = scores > 0 if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[np.asarray(place, np.intp)]


class NNGPRegressor(_Regressor):
    """Gaussian-process regression with the NNGP: networks of which only the last layer is trained.

    network: `gramd.spec.network(...)` or its JSON; one hidden layer of ReLU if left out.
    diag_reg: added to the diagonal: a number, relative to the mean of the diagonal; "loo", chosen
        by closed-form leave-one-out; or {"type": "absolute", "value": ...}.
    output_scale: what the covariance is multiplied by: a number, or "loo", so that it is as wide as
        the training targets lie off when they are left out.
    normalize_y: whether targets are brought to zero mean and unit variance before they are learnt,
        and predictions back. The prior has zero mean, and w_std and b_std say how wide it is.
    input_shape: of one input, (T, d), (H, W, C) or (D, H, W, C), where X is flat, (n, T * d).
    dtype: of the kernels; solving is float64.
    method: `gramd.spec.method`: the closed form if left out.
    url: of the service; GRAMD_URL if left out.

    Fitted: `receipt_`, with the diag_reg and output_scale chosen, the log marginal likelihood and
    jitter; `noise_`, the variance that a new target has beside that of the function.
    """

    def __init__(
        self,
        network: Mapping[str, Any] | None = None,
        *,
        diag_reg: float | str | Mapping[str, Any] = 1e-4,
        output_scale: float | str = "loo",
        normalize_y: bool = True,
        input_shape: Sequence[int] | int | None = None,
        dtype: str = "float64",
        method: Mapping[str, Any] | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(
            network,
            diag_reg=diag_reg,
            input_shape=input_shape,
            dtype=dtype,
            method=method,
            url=url,
        )
        self.output_scale = output_scale
        self.normalize_y = normalize_y

    @property
    def noise_(self) -> Any:
        """The variance of the noise of a target, in the units of y: a number, or (outputs)."""
        chosen = self.receipt_
        return chosen["output_scale"] * chosen["diag_reg"]["value"] * self.y_scale_**2

    def _described(self) -> dict[str, Any]:
        return super()._described() | {"output_scale": self.output_scale}


class NNGPClassifier(_Classifier):
    """Classification by the NNGP posterior of centred one-hot targets; parameters: `network`,
    `diag_reg`, `input_shape`, `dtype`, `method` and `url` of `NNGPRegressor`."""


class NTKRegressor(_Regressor, Flow):
    """The mean and spread of infinitely wide networks trained by gradient flow.

    time: of the flow, steps times learning rate of gradient descent; "infinity" for its end. Other
        parameters are those of `NNGPRegressor`, but that networks have no output_scale.
    """

    def __init__(
        self,
        network: Mapping[str, Any] | None = None,
        *,
        time: float | str = "infinity",
        diag_reg: float | str | Mapping[str, Any] = 1e-4,
        normalize_y: bool = True,
        input_shape: Sequence[int] | int | None = None,
        dtype: str = "float64",
        method: Mapping[str, Any] | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(
            network,
            time=time,
            diag_reg=diag_reg,
            input_shape=input_shape,
            dtype=dtype,
            method=method,
            url=url,
        )
        self.normalize_y = normalize_y


class NTKClassifier(_Classifier, Flow):
    """Classification by networks trained by gradient flow on centred one-hot targets; parameters:
    those of `NTKRegressor` but `normalize_y`."""
