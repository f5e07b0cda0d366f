# Made from kernels/registry.py; change that, then run: python -m client.generate
"""What is made of kernels: the models of a prediction."""

from __future__ import annotations

from typing import Literal

from gramd.spec.document import Document, Given, builder, document, typed

__all__ = ["gaussian_process", "gradient_flow", "kernel_ridge"]


@builder
def gaussian_process(
    *,
    kernel: Literal["nngp", "ntk"] = "nngp",
    diag_reg: float | Given | Literal["absolute", "loo", "relative"] = "relative",
    output_scale: float | Literal["loo"] = 1.0,
) -> Document:
    """The posterior of a Gaussian process whose covariance is the kernel.

    Attributes:
        kernel: "nngp", networks of which only the last layer is trained; "ntk".
        diag_reg: the variance of the noise of the targets, in units of the kernel; a number alone is
            relative.
        output_scale: what kernel and noise are multiplied by; the mean does not depend on it. "loo",
            the scale with the best closed-form leave-one-out log density: error bars that are as
            wide as what is left out lies off.

    Ranges:
        diag_reg: >= 0.
        output_scale: > 0.
    """
    return document(
        "gaussian_process",
        {},
        kernel=(kernel, "nngp"),
        diag_reg=(typed(diag_reg), {"type": "relative"}),
        output_scale=(output_scale, 1.0),
    )


@builder
def gradient_flow(
    *,
    time: float | Literal["infinity"] = "infinity",
    diag_reg: float | Given | Literal["absolute", "loo", "relative"] = "relative",
) -> Document:
    """Infinitely wide networks from random starts, all weights trained by gradient flow.

    Attributes:
        time: of the flow of half the sum of squared errors, the learning rate absorbed (steps times
            learning rate of gradient descent); "infinity" for the end.
        diag_reg: the weight of half the squared distance of the weights from their start; a number
            alone is relative.

    Ranges:
        time: >= 0.
        diag_reg: >= 0.
    """
    return document(
        "gradient_flow",
        {},
        time=(time, "infinity"),
        diag_reg=(typed(diag_reg), {"type": "relative"}),
    )


@builder
def kernel_ridge(
    *,
    kernel: Literal["nngp", "ntk"] = "ntk",
    diag_reg: float | Given | Literal["absolute", "loo", "relative"] = "relative",
) -> Document:
    """Kernel ridge regression: a mean alone.

    Attributes:
        kernel: "nngp" or "ntk".
        diag_reg: the weight of the squared norm; a number alone is relative.

    Ranges:
        diag_reg: >= 0.
    """
    return document(
        "kernel_ridge", {}, kernel=(kernel, "ntk"), diag_reg=(typed(diag_reg), {"type": "relative"})
    )
