"""Kernel jobs, as the API sees them: create, look up, wait for, list, cancel, delete, lay out."""

from collections.abc import Iterable

from service.errors import OverLimit, TilesMissing, UnknownJob
from service.records import ENDED, JobRecord, KernelRequest, Layout, State

__all__ = [
    "ENDED",
    "JobRecord",
    "Jobs",
    "KernelRequest",
    "Layout",
    "OverLimit",
    "State",
    "TilesMissing",
    "UnknownJob",
]


class Jobs:
    """Signatures; the bodies follow within minutes (room)."""

    async def create(self, tenant: str, request: KernelRequest) -> JobRecord: ...
    async def get(self, tenant: str, job_id: str) -> JobRecord: ...
    async def wait(self, tenant: str, job_id: str, seconds: float) -> JobRecord: ...
    async def list(
        self, tenant: str, cursor: str | None, limit: int
    ) -> tuple[list[JobRecord], str | None]: ...
    async def cancel(self, tenant: str, job_id: str) -> JobRecord: ...
    async def delete(self, tenant: str, job_id: str) -> None: ...
    async def layout(self, tenant: str, job_id: str) -> Layout: ...
    async def ensure_tiles(self, layout: Layout, tiles: Iterable[int], seconds: float) -> None: ...
