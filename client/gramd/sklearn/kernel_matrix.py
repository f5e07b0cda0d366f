"""A transformer from inputs to their kernels with the training inputs, for kernel="precomputed"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from gramd.arrays import Array
from gramd.sklearn.service import float64_kernel


class KernelMatrix(TransformerMixin, BaseEstimator):
    """Inputs become rows of K(X, X_train).

        make_pipeline(KernelMatrix(network), SVC(kernel="precomputed"))

    Inputs may be whatever the service takes: (n, d), (n, T, d), (n, H, W, C), (n, D, H, W, C),
    or a list of arrays (T_i, d) of differing lengths. Parameters are those of `gramd.sklearn.Kernel`.
    """

    def __init__(
        self,
        network: Mapping[str, Any] | None = None,
        *,
        kind: str = "nngp",
        input_shape: Sequence[int] | int | None = None,
        dtype: str = "float64",
        method: Mapping[str, Any] | None = None,
        url: str | None = None,
    ) -> None:
        self.network = network
        self.kind = kind
        self.input_shape = input_shape
        self.dtype = dtype
        self.method = method
        self.url = url

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the training inputs."""
        self.X_train_ = X
        return self

    def fit_transform(self, X: Any, y: Any = None, **_: Any) -> Array:
        """K(X, X), (n, n): symmetric, at half the cost."""
        return float64_kernel(self.fit(X), X, None)

    def transform(self, X: Any) -> Array:
        """K(X, X_train), (m, n)."""
        check_is_fitted(self)
        return float64_kernel(self, X, self.X_train_)
