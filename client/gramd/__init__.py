"""gramd: NNGP and NTK matrices of infinitely wide networks, from a service, in Python.

    import gramd
    from gramd import spec as s

    network = s.network(s.dense(), s.relu(), s.attention(), s.global_avg_pool(), s.dense())
    with gramd.Client() as client:
        kernel = client.kernel(network, x)
    kernel.nngp, kernel.ntk

`gramd.sklearn` (with the extra `sklearn`) has kernels and estimators for scikit-learn.
"""

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
from gramd.kernels import Kernel
from gramd.predictions import Prediction
from gramd.retry import Retry

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
    "Kernel",
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
