"""What jobs whose tiles are in the object store take of it, and give back."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from service.errors import UnknownJob
from service.jobs.blueprint import Blueprint
from service.store import keys
from service.store.records import RecordStore
from service.store.tiles import TileStore, is_far


@asynccontextmanager
async def room_for(
    tiles: TileStore, tenant: str, job_id: str, drawn: Blueprint, missing: Sequence[int]
) -> AsyncGenerator[None, None]:
    """Inside, the job is written; what its missing tiles (indices) will take is booked before.

    Raises OverLimit when the tenant's quota has no room for them.
    """
    if tiles.far is None or not drawn.is_far:
        yield
        return
    await tiles.far.bytes.promise(tenant, job_id, drawn.bytes_of(missing))
    try:
        yield
    except BaseException:
        await tiles.far.bytes.withdraw(tenant, job_id)
        raise


async def give_back(
    tiles: TileStore, records: RecordStore, tenant: str, job_id: str, names: Sequence[str]
) -> None:
    """A job with tiles of these names is deleted: those that no other job has are deleted soon.

    Tiles in Redis stay for whoever asks again; these count against a quota.
    """
    far, gone = tiles.far, {name for name in names if is_far(name)}
    if far is None or not gone:
        return
    await far.bytes.withdraw(tenant, job_id)
    for other in await far.bytes.jobs(tenant):
        try:
            layout, _ = await records.layout(keys.ref(tenant, other))
        except UnknownJob:  # expired
            continue
        gone.difference_update(layout["digests"])
    await far.drop(tenant, sorted(gone))
