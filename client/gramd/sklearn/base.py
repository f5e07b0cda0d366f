"""What the estimators share: their parameters, scikit-learn's checks, and the talk with the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator
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


class Network(BaseEstimator):
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
            given = {"type": given}
        elif not isinstance(given, Mapping):
            given = _number(given)  # relative, as the service takes a number
        return {"type": self._model, "diag_reg": given}

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


class Flow(Network):
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
