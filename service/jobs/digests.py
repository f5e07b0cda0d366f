"""Names of what is computed: keyed digests of everything that the values depend on."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kernels import NUMERICS_VERSION


def keyed_digest(secret: bytes, document: Mapping[str, Any]) -> str:
    """HMAC-SHA256 (hex) of a JSON document under the tenant's secret, however its keys are ordered."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def tile_digest(
    secret: bytes,
    *,
    architecture: str,
    method: Mapping[str, Any],
    dtype: str,
    outputs: Sequence[str],
    form: str,
    rows1: str,
    rows2: str,
    shared: bool,
    landmarks: str | None = None,
) -> str:
    """The name of a tile; equal names mean equal values.

    Arguments: architecture, the digest of the canonical form; method with its parameters and seed;
    rows1 and rows2, content digests of the two groups of rows, masked entries zeroed; shared,
    whether the two sides are the same inputs (dropout cares, and so do exact diagonals);
    landmarks, the digest of a landmark set frozen with the job, for methods that have one.
    """
    document: dict[str, Any] = {
        "architecture": architecture,
        "method": dict(method),
        "numerics": NUMERICS_VERSION,
        "dtype": dtype,
        "outputs": sorted(outputs),
        "form": form,
        "rows": [rows1, rows2],
        "shared": shared,
        "landmarks": landmarks,
    }
    return keyed_digest(secret, document)
