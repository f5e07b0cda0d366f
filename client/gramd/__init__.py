"""gramd: NNGP and NTK matrices of infinitely wide networks, from a service, in Python.

    import gramd
    from gramd import spec as s

    network = s.network(s.dense(), s.relu(), s.attention(), s.global_avg_pool(), s.dense())
    with gramd.Client() as client:
        kernel = client.kernel(network, x)
    kernel.nngp, kernel.ntk

`gramd.sklearn` (with the extra `sklearn`) has kernels and estimators for scikit-learn; its kernel,
`gramd.Kernel`, is here too.
"""

from typing import TYPE_CHECKING, Any

from gramd import spec
from gramd.async_client import AsyncClient
from gramd.client import Client
from gramd.datasets import Dataset
from gramd.errors import (
    Conflict,
    GramdError,
    InvalidArchitecture,
    InvalidInput,
    InvalidRequest,
    JobCancelled,
    JobExpired,
    JobFailed,
    LimitExceeded,
    NotAllowed,
    NotFinished,
    NotFound,
    Problem,
    ServerTrouble,
    StillRunning,
    UnexpectedAnswer,
    Unreachable,
)
from gramd.jobs import Job
from gramd.kernels import Kernels
from gramd.predictions import Prediction
from gramd.retry import Retry

if TYPE_CHECKING:
    from gramd.sklearn import Kernel as Kernel

__all__ = [
    "AsyncClient",
    "Client",
    "Conflict",
    "Dataset",
    "GramdError",
    "InvalidArchitecture",
    "InvalidInput",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobExpired",
    "JobFailed",
    "Kernels",
    "LimitExceeded",
    "NotAllowed",
    "NotFinished",
    "NotFound",
    "Prediction",
    "Problem",
    "Retry",
    "ServerTrouble",
    "StillRunning",
    "UnexpectedAnswer",
    "Unreachable",
    "spec",
]


def __getattr__(name: str) -> Any:
    """`Kernel`, which needs scikit-learn, when it is first asked for."""
    if name == "Kernel":
        from gramd.sklearn import Kernel

        return Kernel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
