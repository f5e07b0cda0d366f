"""Monte Carlo kernels: means over independent finite networks, with standard errors.

Network s is drawn from (seed, s, architecture) alone, never from the inputs or their number. So
the kernels of some rows are a slice of the kernels of all, the mean over networks is positive
semidefinite as each network's own is, and more samples continue fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from kernels.architecture import Architecture
from kernels.errors import InputError, NumericsError, Stopped
from kernels.finite.identity import identities
from kernels.finite.network import Row, finite_network
from kernels.finite.sampler import divide, sampler
from kernels.inputs import Inputs
from kernels.plan.memory import MONTE_CARLO_BYTES
from kernels.spec.model import MAX_SEED
from kernels.spec.width import Width


def monte_carlo(
    architecture: Architecture,
    inputs1: Inputs,
    inputs2: Inputs | None = None,
    *,
    width: int,
    samples: int,
    heads: int = 1,
    keys: int | None = None,
    seed: int = 0,
    outputs: Sequence[str] = ("nngp", "ntk"),
    should_stop: Callable[[], bool] | None = None,
    memory: int = MONTE_CARLO_BYTES,
) -> dict[str, npt.NDArray[Any]]:
    """Estimates of the kernels from networks of finite width.

    Args:
        architecture: the network, already checked against the inputs.
        inputs1: n1 inputs.
        inputs2: n2 inputs; None for the first against themselves.
        width: channels after every layer with weights.
        samples: how many networks are drawn, at least 2.
        heads: heads of every attention layer.
        keys: channels of a head's queries, keys and values; `width` if None.
        seed: of the random numbers, 0 to 2^32 - 1.
        outputs: "nngp", "ntk" or both.
        should_stop: asked between compiled calls.
        memory: bytes that one compiled call may take beside the weights of one network.

    Returns:
        (n1, n2) means "nngp" and "ntk", and "nngp_stderr" and "ntk_stderr": the standard
        deviation over networks divided by sqrt(samples). Of the inputs' dtype.

    Raises:
        InputError: a number is out of range; the pointer is its name.
        SpecError: the network cannot be built at this width.
        NumericsError: an estimate is not finite.
        Stopped: `should_stop` said so.
    """
    for name, value, least in (("width", width, 1), ("heads", heads, 1), ("samples", samples, 2)):
        if value < least:
            raise InputError(f"expected {name} to be at least {least}, got {value}", f"/{name}")
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"expected a seed from 0 to {MAX_SEED}, got {seed}", "/seed")
    wanted = tuple(sorted(set(outputs)))
    with jax.enable_x64(inputs1.dtype == "float64"):
        grids = [inputs1.grid] if inputs2 is None else [inputs1.grid, inputs2.grid]
        grid = tuple(max(sizes) for sizes in zip(*grids, strict=True))
        network, numbers = finite_network(
            architecture, inputs1.x.shape[-1], grid, Width(width, heads, keys), inputs1.dtype
        )
        n1 = len(inputs1)
        own, others = identities(inputs1, inputs2)
        rows1 = Row.of(inputs1, own)
        rows2 = None if inputs2 is None else Row.of(inputs2, others)
        division = divide(network, numbers, rows1, rows2, "ntk" in wanted, samples, memory)
        run = sampler(network, wanted, division)
        key = jax.random.key(np.uint32(seed))
        moments = {name: _Moments(n1, n1 if inputs2 is None else len(inputs2)) for name in wanted}
        for first in range(0, samples, division.networks):
            if should_stop is not None and should_stop():
                raise Stopped
            drawn = run(numbers, key, first, rows1, rows2)
            for name, values in drawn.items():
                moments[name].add(np.asarray(values)[: samples - first])
    result: dict[str, npt.NDArray[Any]] = {}
    for name, moment in moments.items():
        mean, error = moment.mean, moment.standard_error()
        if not (np.isfinite(mean).all() and np.isfinite(error).all()):
            wider = ", or ask for float64" if inputs1.dtype == "float32" else ""
            raise NumericsError(
                f"the estimated {name} left the range of {inputs1.dtype}: a layer overflows at "
                f"width {width}; use smaller inputs or stds{wider}"
            )
        result[name] = mean.astype(inputs1.dtype)
        result[f"{name}_stderr"] = error.astype(inputs1.dtype)
    return result


class _Moments:
    """Running mean and squared deviations of matrices, in float64 (Welford)."""

    def __init__(self, n1: int, n2: int) -> None:
        self.count = 0
        self.mean = np.zeros((n1, n2))
        self._deviations = np.zeros((n1, n2))

    def add(self, matrices: npt.NDArray[Any]) -> None:
        """Takes in some networks' matrices, one after the other."""
        for matrix in matrices.astype(np.float64):
            self.count += 1
            change = matrix - self.mean
            self.mean += change / self.count
            self._deviations += change * (matrix - self.mean)

    def standard_error(self) -> npt.NDArray[np.float64]:
        """The standard deviation over networks divided by the root of their number, (n1, n2)."""
        return np.sqrt(self._deviations / (self.count - 1) / self.count)
