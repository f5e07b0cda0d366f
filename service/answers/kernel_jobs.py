"""Which kernel jobs a prediction is made of."""

from kernels.inputs import Form, Inputs
from kernels.method import MonteCarlo
from kernels.plan.landmarks import choose_landmarks
from service.answers.records import PredictionRequest
from service.records import KernelRequest


def kernel_requests(request: PredictionRequest) -> dict[str, KernelRequest]:
    """The kernel jobs of a prediction, by role. Looks at all inputs, so it belongs on a thread."""
    # One Gram matrix: what stands for all inputs must be the same in all its parts.
    landmarks = choose_landmarks(request.architecture, request.train, None, request.method)

    def wanted(
        rows: Inputs, columns: Inputs | None, outputs: tuple[str, ...], form: Form = "matrix"
    ) -> KernelRequest:
        return KernelRequest(
            architecture=request.architecture,
            inputs1=rows,
            inputs2=columns,
            outputs=outputs,
            dtype=request.dtype,
            form=form,
            method=request.method,
            datasets=request.datasets,
            landmarks=landmarks,
        )

    found = {
        "train": wanted(request.train, None, request.train_kernels),
        "cross": wanted(request.test, request.train, request.train_kernels),
    }
    if request.spread:
        # Estimates by Monte Carlo are of whole matrices only.
        whole = "covariance" in request.outputs or isinstance(request.method, MonteCarlo)
        own = (request.prior_kernel,)
        found["test"] = wanted(request.test, None, own, "matrix" if whole else "diagonal")
    return found
