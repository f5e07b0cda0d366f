"""Names of what answers are made into: keyed digests of everything the values depend on."""

from collections.abc import Mapping
from typing import Any

from kernels import NUMERICS_VERSION
from service.jobs.digests import keyed_digest
from service.records import Layout

# Raised when a change alters what the same kernels and targets give.
ANSWERS_VERSION = 1


def matrix_digest(secret: bytes, layout: Layout) -> str:
    """HMAC-SHA256 (hex) of a kernel job's whole result: its tiles, and where they are in it."""
    return keyed_digest(secret, {"plan": layout.plan.to_json(), "tiles": layout.digests})


def answer_digest(secret: bytes, kind: str, made_of: Mapping[str, Any]) -> str:
    """HMAC-SHA256 (hex) of an answer: its kind and all that it is made of."""
    versions = [NUMERICS_VERSION, ANSWERS_VERSION]
    return keyed_digest(secret, {"kind": kind, "made_of": dict(made_of), "versions": versions})
