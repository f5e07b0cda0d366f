"""Infinitely wide networks in scikit-learn, computed by a gramd service.

    from gramd import spec as s
    from gramd.sklearn import Kernel, KernelMatrix, NNGPClassifier

    network = s.network(s.dense(w_std=1.5), s.relu(), s.dense())
    NNGPClassifier(network).fit(X, y).predict(X_test)
    GaussianProcessRegressor(Kernel(network), alpha=0.1).fit(X, y)
    make_pipeline(KernelMatrix(network, kind="ntk"), SVC(kernel="precomputed")).fit(X, y)

`Kernel` (also `gramd.Kernel`) is a kernel of `sklearn.gaussian_process`, which SVC and KernelRidge
take as well.
`KernelMatrix` is a transformer for whatever wants kernel="precomputed", and takes inputs that
scikit-learn itself refuses: sequences, images, lists of arrays of differing lengths.
`NNGPRegressor`, `NNGPClassifier`, `NTKRegressor` and `NTKClassifier` have the service solve as well.

The service is at `url`, or where GRAMD_URL says; the key is that of GRAMD_KEY.
"""

from gramd.sklearn.estimators import NNGPClassifier, NNGPRegressor, NTKClassifier, NTKRegressor
from gramd.sklearn.kernel import Kernel
from gramd.sklearn.kernel_matrix import KernelMatrix

__all__ = [
    "Kernel",
    "KernelMatrix",
    "NNGPClassifier",
    "NNGPRegressor",
    "NTKClassifier",
    "NTKRegressor",
]
