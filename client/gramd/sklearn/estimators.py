"""Estimators whose fitting and predicting the service does: POST /v1/predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from gramd.arrays import Array, as_inputs, is_ragged, listed
from gramd.predictions import Prediction
from gramd.sklearn.service import client_of, network_of, shaped
from gramd.spec.document import plain


class _Network(BaseEstimator):
    """What all of them share: parameters, and the talk with the service."""

    _model = "gaussian_process"
    _task = "regression"

    def __init__(
        self,
        network: Mapping[str, Any] | None = None,
        *,
        diag_reg: float | str | Mapping[str, Any] = 1e-4,
        input_shape: Sequence[int] | int | None = None,
        dtype: str = "float64",
        method: Mapping[str, Any] | None = None,
        url: str | None = None,
    ) -> None:
        self.network = network
        self.diag_reg = diag_reg
        self.input_shape = input_shape
        self.dtype = dtype
        self.method = method
        self.url = url

    def _fit(self, X: Array, y: Array) -> Self:
        """The training kernel is computed and factorised now, and kept by the service: mistakes come
        to light here, and predicting is quick."""
        self.X_train_, self.y_train_ = X, y
        self.receipt_ = self._predict(X[:1], ["mean"]).receipt
        return self

    def _predict(self, X: Array, outputs: Sequence[str]) -> Prediction:
        client = client_of(self.url)
        answer = client.predict(
            network_of(self.network),
            shaped(self.X_train_, self.input_shape),
            self.y_train_,
            shaped(X, self.input_shape),
            model=plain(self._described()),
            task=self._task,
            outputs=outputs,
            dtype=self.dtype,
            method=self.method,
        )
        # What was computed stays cached; its record is of no use to anyone any more.
        client.predictions.delete(answer.job)
        return answer

    def _described(self) -> dict[str, Any]:
        """The model of a request."""
        given = self.diag_reg
        if isinstance(given, str):
            reg: Any = {"type": given}
        elif isinstance(given, Mapping):
            reg = given
        else:
            reg = {"type": "relative", "value": _number(given)}
        return {"type": self._model, "diag_reg": reg}

    def _learnt(self, X: Any, y: Any, **checks: Any) -> tuple[Any, Any]:
        """X and y as scikit-learn checks them; lists of differing lengths, which it knows not, as they
        are."""
        inputs: Any = listed(X)
        targets: Any = y
        if is_ragged(inputs):
            as_inputs(inputs, name="X")
            check_consistent_length(inputs, y)
            targets = check_array(y, ensure_2d=False, dtype=cast("Any", None))  # as it is
        else:
            inputs, targets = validate_data(self, inputs, y, allow_nd=True, **checks)
        # Of sequences and images scikit-learn would take the positions for features.
        self.n_features_in_ = np.shape(inputs[0])[-1]
        return inputs, targets

    def _checked(self, X: Any) -> Any:
        check_is_fitted(self)
        inputs = listed(X)
        if not is_ragged(inputs):
            if np.asarray(inputs).ndim <= 2:
                return validate_data(self, inputs, reset=False, allow_nd=True)
            inputs = check_array(inputs, allow_nd=True)
        channels = np.shape(inputs[0])[-1]
        if channels != self.n_features_in_:
            raise ValueError(
                f"X has {channels} channels, but {type(self).__name__} is expecting"
                f" {self.n_features_in_} channels as input"
            )
        return inputs


def _number(diag_reg: Any) -> float:
    try:
        return float(diag_reg)
    except TypeError:
        raise TypeError(
            f"expected diag_reg to be a number, 'loo' or a mapping, got {diag_reg!r}"
        ) from None


class _Flow(_Network):
    """Networks trained by gradient flow: they have a time."""

    _model = "gradient_flow"

    def __init__(
        self,
        network: Mapping[str, Any] | None = None,
        *,
        time: float | str = "infinity",
        diag_reg: float | str | Mapping[str, Any] = 1e-4,
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
        self.time = time

    def _described(self) -> dict[str, Any]:
        return super()._described() | {"time": self.time}


class _Regressor(RegressorMixin, _Network):
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
        self.y_mean_ = targets.mean(axis=0) if self.normalize_y else np.zeros(targets.shape[1:])
        spread = targets.std(axis=0) if self.normalize_y else np.ones(targets.shape[1:])
        self.y_scale_ = np.where(spread > 0, spread, 1.0)
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


class _Classifier(ClassifierMixin, _Network):
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
    jitter.
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

    def _described(self) -> dict[str, Any]:
        return super()._described() | {"output_scale": self.output_scale}


class NNGPClassifier(_Classifier):
    """Classification by the NNGP posterior of centred one-hot targets; parameters: `network`,
    `diag_reg`, `input_shape`, `dtype`, `method` and `url` of `NNGPRegressor`."""


class NTKRegressor(_Regressor, _Flow):
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


class NTKClassifier(_Classifier, _Flow):
    """Classification by networks trained by gradient flow on centred one-hot targets; parameters:
    those of `NTKRegressor` but `normalize_y`."""
