"""A job's results as a Zarr v3 group: its metadata, and which window of a result a chunk is.

A chunk is as large as the largest tile. Where all inputs are of one bucket, chunks are tiles; else
a chunk, which is in the caller's order, is put together from several.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from service.records import JobRecord, Layout

METADATA = "zarr.json"
_CHUNK = re.compile(r"([a-z_]{1,20})/c((?:/(?:0|[1-9][0-9]{0,9})){1,8})")


@dataclass(frozen=True)
class Chunk:
    """A chunk of the array `output`: its rows and columns, and its full shape, which the last ones
    of an axis do not fill."""

    output: str
    rows: range
    cols: range
    shape: tuple[int, ...]


class ZarrLayout:
    """The group of one finished job."""

    def __init__(self, layout: Layout) -> None:
        self._record: JobRecord = layout.record
        plan = layout.plan
        self._sizes = (plan.n1,) if plan.form == "diagonal" else (plan.n1, plan.n2)
        sides = (plan.groups1, plan.groups2)[: len(self._sizes)]
        self._steps = tuple(max(len(group.rows) for group in side) for side in sides)
        self._entry = plan.entry

    def metadata(self, path: str) -> bytes | None:
        """The document at a path that ends in zarr.json, None when there is none."""
        if path == METADATA:
            return json.dumps(self._group(), indent=1).encode()
        name = path.removesuffix(f"/{METADATA}")
        if name != path and name in self._record.results:
            return json.dumps(self._array(), indent=1).encode()
        return None

    def chunk(self, path: str) -> Chunk | None:
        """The chunk at a path, None when it is none of the grid."""
        match = _CHUNK.fullmatch(path)
        if match is None or match[1] not in self._record.results:
            return None
        numbers = [int(number) for number in match[2].split("/")[1:]]
        counts = [-(-size // step) for size, step in zip(self._sizes, self._steps, strict=True)]
        counts += [1] * len(self._entry)
        if len(numbers) != len(counts) or any(
            number >= count for number, count in zip(numbers, counts, strict=True)
        ):
            return None
        spans = [
            range(number * step, min(number * step + step, size))
            for number, step, size in zip(numbers, self._steps, self._sizes, strict=False)
        ]
        cols = spans[1] if len(spans) > 1 else range(self._record.n2)
        return Chunk(match[1], spans[0], cols, self.chunk_shape)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Of every chunk."""
        return (*self._steps, *self._entry)

    def _group(self) -> dict[str, Any]:
        arrays = {name: self._array() for name in self._record.results}
        return {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"gramd": {"id": self._record.id, "receipt": self._record.receipt}},
            # There is no listing over HTTP: this is how a reader learns of the arrays.
            "consolidated_metadata": {
                "kind": "inline", "must_understand": False, "metadata": arrays,
            },
        }  # fmt: skip

    def _array(self) -> dict[str, Any]:
        names = ["x1"] if len(self._sizes) == 1 else ["x1", "x2"]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self._record.shape),
            "data_type": self._record.dtype,
            "chunk_grid": {
                "name": "regular", "configuration": {"chunk_shape": list(self.chunk_shape)},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": "NaN",
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "attributes": {},
            "dimension_names": [*names, *(None for _ in self._entry)],
            "storage_transformers": [],
        }  # fmt: skip
