"""What a result was computed with, as receipts say it."""

from kernels import NUMERICS_VERSION
from service import __version__
from service.queue.roster import WorkerCard


def provenance(card: WorkerCard) -> dict[str, str]:
    """Versions and device of this worker."""
    return {
        "code_version": __version__,
        "numerics_version": NUMERICS_VERSION,
        "jax_version": card.jax_version,
        "device_kind": card.device_kind,
    }
