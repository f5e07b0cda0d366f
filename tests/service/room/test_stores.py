"""Inputs, datasets and tiles come back as they went in, within the quota, per tenant."""

import asyncio
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.commands.core import AsyncScript

from kernels import NUMERICS_VERSION
from kernels.architecture import parse_architecture
from kernels.inputs import Inputs, read_inputs
from service.errors import OverLimit, UnknownDataset
from service.jobs.blueprint import draw, plan_of
from service.jobs.digests import tile_digest
from service.records import KernelRequest
from service.state import Service, open_service
from service.store import keys
from service.store.dataset_scripts import KEEP
from service.store.datasets import PIECE
from service.store.holding import OVERHEAD
from service.store.inputs import pack, packed_size, unpack
from service.store.shelf import Shelf


@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple),
    dtype=st.sampled_from(["float32", "float64"]),
    masked=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_come_back_as_they_went_in(
    shape: tuple[int, ...], dtype: str, masked: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x = random.standard_normal(shape).astype(dtype)
    mask = random.random(shape[:-1]) < 0.5 if masked else None
    packed = pack(Inputs(x, mask))
    assert packed_size(Inputs(x, mask)) == len(packed)
    back = unpack(packed)
    np.testing.assert_array_equal(back.x, x)
    assert back.x.dtype == x.dtype
    assert (back.mask is None) == (mask is None)
    if mask is not None and back.mask is not None:
        np.testing.assert_array_equal(back.mask, mask)
    assert back.digest() == Inputs(x, mask).digest()


async def test_tiles_that_fetch_the_same_rows_at_once_share_them(service: Service) -> None:
    # What is computed of rows is kept under the object.
    rows = read_inputs(np.eye(3))
    async with service.inputs.put("default", "a job", ("a network", "{}"), {rows.digest(): rows}):
        pass
    shelf = Shelf(service.inputs, capacity=2**20)
    one, two = await asyncio.gather(*(shelf.rows("default", rows.digest()) for _ in range(2)))
    assert one is two is await shelf.rows("default", rows.digest())
    np.testing.assert_array_equal(one.x, rows.x)


async def test_a_tile_comes_back_as_it_went_in(service: Service) -> None:
    values = {"nngp": np.arange(6.0).reshape(2, 3), "ntk": np.ones((2, 3))}
    await service.tiles.write("default", "d1", values, {"jax_version": "x"})
    for name, value in values.items():
        found = await service.tiles.read("default", "d1", name)
        assert found is not None
        np.testing.assert_array_equal(found, value)
    assert await service.tiles.read("other", "d1", "nngp") is None
    assert await service.tiles.read("default", "d2", "nngp") is None
    key = keys.tile("default", "d1")
    await service.tiles_client.expire(key, 50)
    assert await service.tiles.present("default", ["d1", "d2"]) == [True, False]
    assert await service.tiles_client.ttl(key) <= 50
    assert await service.tiles.renew("default", ["d1", "d2"]) == [True, False]
    assert await service.tiles_client.ttl(key) > 50
    meta = await service.tiles.meta("default", "d1")
    assert meta is not None
    assert meta["jax_version"] == "x"


async def test_a_dataset_larger_than_one_piece_comes_back(service: Service) -> None:
    x = np.random.default_rng(0).standard_normal((PIECE // 8000 + 3, 10, 100))
    mask = x[..., 0] > 0
    made = await service.datasets.create("default", x, mask)
    assert made.shape == x.shape
    assert made.masked
    back, back_mask = await service.datasets.load("default", made.id)
    np.testing.assert_array_equal(back, x)
    assert back_mask is not None
    np.testing.assert_array_equal(back_mask, mask)


async def test_one_content_is_one_dataset_of_each_tenant(service: Service) -> None:
    x = np.arange(12, dtype=np.int16).reshape(3, 4)
    first = await service.datasets.create("default", x)
    assert (await service.datasets.create("default", x.astype(">i2"))).id == first.id
    assert (await service.datasets.create("default", x.astype(np.int32))).id != first.id
    theirs = await service.datasets.create("other", x)
    assert theirs.id != first.id
    await service.datasets.delete("default", first.id)
    for call in (service.datasets.get, service.datasets.load, service.datasets.delete):
        with pytest.raises(UnknownDataset):
            await call("default", first.id)
    assert (await service.datasets.get("other", theirs.id)).dtype == "<i2"


async def test_a_piece_of_a_dataset_is_not_a_dataset(service: Service) -> None:
    made = await service.datasets.create("default", np.ones((2, 2)))
    with pytest.raises(UnknownDataset):
        await service.datasets.get("default", f"{made.id}:0")


async def test_the_quota_counts_what_is_kept_and_forgets_what_is_deleted(service: Service) -> None:
    settings = replace(service.settings, max_input_bytes=1000 + OVERHEAD)
    async with open_service(settings) as small:
        first = await small.datasets.create("default", np.zeros((10, 10)))
        # The same content again costs nothing; other content does not fit; another tenant's does.
        await small.datasets.create("default", np.zeros((10, 10)))
        with pytest.raises(OverLimit) as caught:
            await small.datasets.create("default", np.ones((10, 10)))
        assert (caught.value.limit, caught.value.value) == ("max_input_bytes", 1000 + OVERHEAD)
        assert caught.value.actual == 1600 + 2 * OVERHEAD
        await small.datasets.create("other", np.ones((10, 10)))
        await small.datasets.delete("default", first.id)
        await small.datasets.create("default", np.ones((10, 10)))


async def test_readiness_names_what_is_missing(service: Service) -> None:
    assert await service.readiness() == ["no worker has been seen in the last seconds"]
    await service.client.config_set("maxmemory-policy", "allkeys-lru")
    await service.tiles_client.config_set("maxmemory-policy", "noeviction")
    try:
        problems = await service.readiness()
    finally:
        await service.client.config_set("maxmemory-policy", "noeviction")
        await service.tiles_client.config_set("maxmemory-policy", "allkeys-lru")
    assert len(problems) == 2
    assert "REDIS_URL" in problems[0]
    assert "noeviction" in problems[0]
    assert "TILES_URL" in problems[1]


def test_a_tile_digest_depends_on_everything_it_should() -> None:
    base = {
        "architecture": "a", "method": {"type": "exact"}, "dtype": "float32",
        "outputs": ("nngp", "ntk"), "form": "matrix", "rows1": "r", "rows2": "s", "shared": False,
        "landmarks": None,
    }  # fmt: skip
    changes = {
        "architecture": "b", "method": {"type": "exact", "seed": 1}, "dtype": "float64",
        "outputs": ("nngp",), "form": "diagonal", "rows1": "s", "rows2": "r", "shared": True,
        "landmarks": "l",
    }  # fmt: skip
    digests = {tile_digest(b"secret", **(base | {name: changes[name]})) for name in base}
    digests |= {tile_digest(b"secret", **base), tile_digest(b"other", **base)}
    assert len(digests) == len(base) + 2
    swapped = base | {"outputs": ("ntk", "nngp")}
    assert tile_digest(b"secret", **swapped) == tile_digest(b"secret", **base)


def test_names_of_tiles_that_are_cached_stay_what_they_are() -> None:
    """Or every cache out there is lost: only kernels.NUMERICS_VERSION may change this one."""
    request = KernelRequest(
        architecture=parse_architecture(
            {"layers": [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}]}
        ),
        inputs1=read_inputs(np.arange(12.0).reshape(4, 3)),
        inputs2=None,
        outputs=("nngp", "ntk"),
        dtype="float32",
    )
    drawn = draw(request, plan_of(request), b"secret")
    assert NUMERICS_VERSION == "12", "pin the new name too"
    assert drawn.digests == ("09b9d0eafcb8afc2733978edf09f7fbd0ba7d0695be344e60d00643e88ce316c",)


async def test_a_dataset_is_read_in_little_more_than_its_own_memory(service: Service) -> None:
    x = np.ones((10, PIECE // 8))
    made = await service.datasets.create("default", x)
    tracemalloc.start()
    back, _ = await service.datasets.load("default", made.id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(back, x)
    assert peak < 1.5 * x.nbytes


@pytest.mark.parametrize("written", [False, True])
async def test_a_dataset_whose_writing_was_not_confirmed_is_there_whole_or_not_at_all(
    service: Service, monkeypatch: pytest.MonkeyPatch, *, written: bool
) -> None:
    """Neither a record without pieces nor pieces without a record, and it can be sent again."""
    x, call = np.ones((3, 2)), AsyncScript.__call__

    async def lost(self: AsyncScript, *args: Any, **kwargs: Any) -> Any:
        if self.script != KEEP:
            return await call(self, *args, **kwargs)
        if written:
            await call(self, *args, **kwargs)
        raise ConnectionError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(AsyncScript, "__call__", lost)
        with pytest.raises(ConnectionError):
            await service.datasets.create("default", x)
    # A record and a piece, and what is booked.
    assert len(await service.client.keys("gramd:dataset:*")) == 2 * written
    assert await service.client.zcard(keys.held("default")) == written
    made = await service.datasets.create("default", x)
    assert np.array_equal((await service.datasets.load("default", made.id))[0], x)


def test_a_plan_takes_about_300_bytes_a_tile() -> None:
    """As docs/operations.md says where it tells what counts against a tenant's quota."""
    request = KernelRequest(
        architecture=parse_architecture({"layers": [{"type": "dense"}]}),
        inputs1=read_inputs(np.arange(40.0 * 600).reshape(40, 600, 1)),
        inputs2=None,
        outputs=("nngp",),
        dtype="float64",
        form="positions",
    )
    plan = plan_of(request)
    assert len(plan.tiles) == 40 * 41 // 2
    stored = draw(request, plan, b"secret").stored(request, range(len(plan.tiles)))
    assert 250 < stored.nbytes / len(plan.tiles) < 350


async def test_a_full_store_is_named(service: Service) -> None:
    used = (await service.client.info("memory"))["used_memory"]
    await service.client.config_set("maxmemory", used + 100_000)
    try:
        with pytest.raises(OverLimit) as caught:
            await service.datasets.create("default", np.zeros(1_000_000))
    finally:
        await service.client.config_set("maxmemory", 0)
    assert caught.value.limit == "queue_store_bytes"


async def test_the_limits_in_force_name_the_tile_stores(service: Service) -> None:
    limits = await service.limits()
    assert 0 < limits["max_result_bytes"] < 64 << 20
    assert limits["max_rows"] == service.settings.max_rows
