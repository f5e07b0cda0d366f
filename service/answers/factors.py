"""Factors and spectra of training kernels, kept in the tile store: new test inputs need no other."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from kernels.predict.factor import Factor, factorise, mean_diagonal
from kernels.predict.model import Absolute, Relative
from kernels.predict.spectrum import Spectrum, decompose
from service.store.arrays import ArrayStore, StoredArray
from service.store.datasets import DatasetStore

Made = TypeVar("Made")
# Runs a function on a worker's thread.
Run = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Kept(Generic[Made]):
    """Something made of a training kernel.

    `mean_diagonal` is the kernel's; `reused` says whether it was made before.
    """

    value: Made
    mean_diagonal: float
    reused: bool


@dataclass(frozen=True)
class Cholesky:
    """A factor, and the diagonal of its matrix's inverse, (n,), which leave-one-out scores take."""

    factor: Factor
    inverse_diagonal: np.ndarray


class Factors:
    """What can be made of one training kernel, named by the digest of its job's result."""

    def __init__(
        self,
        tenant: str,
        base: str,
        arrays: ArrayStore,
        datasets: DatasetStore,
        dataset_ids: list[str],
        run: Run,
    ) -> None:
        self._tenant = tenant
        self._base = base
        self._arrays = arrays
        self._datasets = datasets
        self._dataset_ids = dataset_ids
        self._run = run

    async def cholesky_kept(self, kernel: str, diag_reg: Absolute | Relative) -> bool:
        """Whether the factor is kept, so that the kernel itself need not be read."""
        return await self._there(_cholesky(kernel, diag_reg), "lower", "inverse")

    async def spectrum_kept(self, kernel: str) -> bool:
        """Whether the spectrum is kept."""
        return await self._there(f"spectrum:{kernel}", "vectors", "values")

    async def cholesky(
        self, kernel: str, diag_reg: Absolute | Relative, read: Callable[[], Awaitable[np.ndarray]]
    ) -> Kept[Cholesky]:
        """The Cholesky factor; `read` gives the kernel when there is none yet."""
        name = _cholesky(kernel, diag_reg)
        lower, about = await self._read(f"{name}:lower")
        inverse, _ = await self._read(f"{name}:inverse")
        if lower is not None and inverse is not None:
            factor = Factor(lower, about["diag_reg"], about["jitter"], about["attempts"])
            return Kept(Cholesky(factor, inverse), about["mean_diagonal"], True)
        matrix = await read()
        mean = mean_diagonal(matrix)
        absolute = diag_reg.value * (mean if isinstance(diag_reg, Relative) else 1)
        factor: Factor = await self._run(factorise, matrix, absolute)
        inverse = await self._run(factor.inverse_diagonal)
        about = {
            "diag_reg": absolute,
            "jitter": factor.jitter,
            "attempts": factor.attempts,
            "mean_diagonal": mean,
        }
        await self.write(f"{name}:inverse", inverse, about)
        await self.write(f"{name}:lower", factor.lower, about, lower=True)
        return Kept(Cholesky(factor, inverse), mean, False)

    async def spectrum(
        self, kernel: str, read: Callable[[], Awaitable[np.ndarray]]
    ) -> Kept[Spectrum]:
        """The eigendecomposition; `read` gives the kernel when there is none yet."""
        name = f"spectrum:{kernel}"
        vectors, about = await self._read(f"{name}:vectors")
        values, _ = await self._read(f"{name}:values")
        if vectors is not None and values is not None:
            mean = about["mean_diagonal"]
            return Kept(Spectrum(values, vectors, mean), mean, True)
        spectrum: Spectrum = await self._run(decompose, await read())
        about = {"mean_diagonal": spectrum.mean_diagonal}
        await self.write(f"{name}:values", spectrum.values, about)
        await self.write(f"{name}:vectors", spectrum.vectors, about)
        return Kept(spectrum, spectrum.mean_diagonal, False)

    async def write(
        self, name: str, array: np.ndarray, about: dict[str, Any], *, lower: bool = False
    ) -> None:
        """Store an array under the base, first noting it for those who delete its datasets."""
        place = self._arrays.plan(self._tenant, self._base, name, array, lower=lower)
        # Before it is there, so that deleting a dataset misses nothing made from it.
        await self._datasets.remember(self._tenant, self._dataset_ids, place.digests)
        await self._arrays.write(place, array, about)

    async def _there(self, name: str, *parts: str) -> bool:
        return all([await self._find(f"{name}:{part}") is not None for part in parts])

    async def _find(self, name: str) -> StoredArray | None:
        return await self._arrays.find(self._tenant, self._base, name)

    async def _read(self, name: str) -> tuple[np.ndarray | None, dict[str, Any]]:
        found = await self._find(name)
        if found is None:
            return None, {}
        # Others made it of the same content; it is made from these datasets all the same.
        await self._datasets.remember(self._tenant, self._dataset_ids, found.digests)
        return await self._arrays.read(found), dict(found.about)


def _cholesky(kernel: str, diag_reg: Absolute | Relative) -> str:
    return f"cholesky:{kernel}:{json.dumps(diag_reg.canonical(), sort_keys=True)}"
