"""What can be asked of a kernel matrix: the model and its regularisation. No SciPy."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from kernels.spec.model import Spec, listed

Kernel = Literal["nngp", "ntk"]
Criterion = Literal["mse", "log_density"]

_Weight = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]

GRID: Final = tuple(float(f"{value:.3g}") for value in np.logspace(-8, 1, 28))
"""Where leave-one-out looks, relative to the mean diagonal: three a decade, from where float64
hardly sees it to where it swamps the kernel."""


class Absolute(Spec):
    """This number is added to the diagonal of the training kernel.

    Attributes:
        value: the number, in the units of the kernel.
    """

    type: Literal["absolute"] = "absolute"
    value: _Weight


class Relative(Spec):
    """This share of the mean of the diagonal is added to the diagonal.

    Attributes:
        value: the share, 1e-4 for a ten-thousandth.
    """

    type: Literal["relative"] = "relative"
    value: _Weight = 1e-4


class LeaveOneOut(Spec):
    """The value of a grid with the best closed-form leave-one-out score.

    Attributes:
        criterion: "mse", the mean squared error; "log_density", the mean log predictive density
            (Gaussian processes only).
        grid: candidates, relative to the mean diagonal.
    """

    type: Literal["loo"] = "loo"
    criterion: Criterion = "mse"
    grid: Annotated[
        tuple[Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)], ...],
        Field(min_length=1, max_length=200),
        listed("a list of numbers"),
    ] = GRID


class _OrRelative:
    """Marks the union of which a number alone stands for {"type": "relative", "value": number}; the JSON
    Schema says so too."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_as_relative, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler(schema)
        return {**found, "oneOf": [*found["oneOf"], {"type": "number", "minimum": 0}]}


def _as_relative(value: object) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"type": "relative", "value": value} if number else value


DiagReg = Annotated[Absolute | Relative | LeaveOneOut, Field(discriminator="type"), _OrRelative()]


class GaussianProcess(Spec):
    """The posterior of a Gaussian process whose covariance is the kernel.

    Attributes:
        kernel: "nngp", networks of which only the last layer is trained; "ntk".
        diag_reg: the variance of the noise of the targets, in units of the kernel; a number alone is
            relative.
        output_scale: what kernel and noise are multiplied by; the mean does not depend on it. "loo",
            the scale with the best closed-form leave-one-out log density: error bars that are as
            wide as what is left out lies off.
    """

    type: Literal["gaussian_process"] = "gaussian_process"
    kernel: Kernel = "nngp"
    diag_reg: DiagReg = Relative()
    output_scale: (
        Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | Literal["loo"]
    ) = 1.0


class KernelRidge(Spec):
    """Kernel ridge regression: a mean alone.

    Attributes:
        kernel: "nngp" or "ntk".
        diag_reg: the weight of the squared norm; a number alone is relative.
    """

    type: Literal["kernel_ridge"] = "kernel_ridge"
    kernel: Kernel = "ntk"
    diag_reg: DiagReg = Relative()


class GradientFlow(Spec):
    """Infinitely wide networks from random starts, all weights trained by gradient flow.

    Attributes:
        time: of the flow of half the sum of squared errors, the learning rate absorbed (steps times
            learning rate of gradient descent); "infinity" for the end.
        diag_reg: the weight of half the squared distance of the weights from their start; a number
            alone is relative.
    """

    type: Literal["gradient_flow"] = "gradient_flow"
    time: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] | Literal["infinity"] = (
        "infinity"
    )
    diag_reg: DiagReg = Relative()

    @property
    def kernel(self) -> Kernel:
        """The kernel that is inverted."""
        return "ntk"

    @property
    def until(self) -> float:
        """The time as a number."""
        return math.inf if self.time == "infinity" else self.time


Model = GaussianProcess | GradientFlow | KernelRidge
