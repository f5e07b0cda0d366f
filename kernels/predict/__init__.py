"""Answers from kernel matrices: Gaussian processes, gradient flow, kernel ridge. NumPy and SciPy.

    model.py             what can be asked for: model, regularisation               no SciPy
    targets.py           what is learnt: numbers, or classes as centred one-hot     no SciPy
    factor.py            Cholesky with reported jitter
    spectrum.py          eigenvalues and eigenvectors, for gradient flow and for searches
    leave_one_out.py     closed-form leave-one-out scores; the diag_reg they choose
    gaussian_process.py  posterior mean, variance, covariance; log marginal likelihood
    gradient_flow.py     the ensemble of wide networks trained to a time or for ever
    ridge.py             kernel ridge
    diagnosis.py         how well a matrix can be factorised

Everything is in float64, whatever the kernels were computed in, and nothing here knows of JAX.
"""
