"""What jobs keep in the store: as long as one needs it, within the tenant's limits, and no longer."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from service.errors import OverLimit
from service.records import JobRecord, KernelRequest
from service.state import Service, open_service
from service.store import keys

Requests = Callable[..., KernelRequest]

# Rows of a full group of vectors (kernels.plan.tiles): 2 x FULL rows are 2 groups, 3 tiles.
FULL = 512


async def test_deleting_the_last_job_that_needs_them_frees_the_inputs(
    service: Service, request_of: Requests
) -> None:
    first = await service.jobs.create("default", request_of(4))
    second = await service.jobs.create("default", request_of(4, w_std=2.0))
    rows = keys.rows(
        "default", (await service.records.layout(f"default:{first.id}"))[0]["rows1"][0]
    )
    await service.jobs.delete("default", first.id)
    assert await service.client.exists(rows, keys.held("default")) == 2
    await service.jobs.delete("default", second.id)
    assert await service.client.exists(rows, keys.held("default")) == 0


async def test_a_network_is_kept_as_long_as_a_job_needs_it(
    service: Service, request_of: Requests
) -> None:
    first, second = [await service.jobs.create("default", request_of(n)) for n in (4, 5)]
    network = keys.architecture("default", first.architecture)
    assert first.architecture == second.architecture
    # As long as the job, whose lifetime begins anew when it ends.
    await service.client.expire(network, 1)
    await service.lifetimes.renew(f"default:{second.id}")
    layout = keys.job(f"default:{second.id}", "layout")
    assert await service.client.ttl(network) >= await service.client.ttl(layout) > 1
    await service.jobs.delete("default", first.id)
    assert await service.client.exists(network)
    await service.jobs.delete("default", second.id)
    left = [name async for name in service.client.scan_iter(f"*{first.architecture}*")]
    assert left == []
    assert not await service.client.exists(keys.held("default"))


async def test_jobs_count_against_the_quota_though_they_share_their_inputs(
    service: Service, request_of: Requests
) -> None:
    async with open_service(replace(service.settings, max_input_bytes=60_000)) as small:
        made: list[JobRecord] = []

        async def fill() -> None:
            for _ in range(50):
                made.append(await small.jobs.create("default", request_of(4)))

        with pytest.raises(OverLimit) as caught:
            await fill()
        assert caught.value.limit == "max_input_bytes"
        before = await service.client.zcard(keys.held("default"))
        await small.jobs.delete("default", made[0].id)
        await small.jobs.create("default", request_of(4))
        assert await service.client.zcard(keys.held("default")) == before


@pytest.mark.parametrize(
    ("limit", "change", "n"),
    [
        ("max_rows", {"max_rows": 9}, 10),
        ("max_tiles", {"max_tiles": 2}, FULL + 1),
        ("max_input_bytes", {"max_input_bytes": 100}, 10),
        ("max_unfinished_jobs", {"max_unfinished_jobs": 0}, 2),
        ("max_result_bytes", {}, 4000),
    ],
)
async def test_limits_are_named_and_leave_nothing_behind(
    service: Service, request_of: Requests, limit: str, change: dict[str, int], n: int
) -> None:
    async with open_service(replace(service.settings, **change)) as strict:
        with pytest.raises(OverLimit) as caught:
            await strict.jobs.create("default", request_of(n))
    assert caught.value.limit == limit
    assert caught.value.actual > caught.value.value
    left = [key async for key in service.client.scan_iter("gramd:*") if b"secret" not in key]
    assert left == []
