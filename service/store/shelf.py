"""What a worker keeps at hand of Redis A, so that a row of tiles is fetched once."""

import asyncio
import json
from collections import OrderedDict

from kernels.architecture import Architecture, parse_architecture
from kernels.inputs import Inputs
from service.errors import InputsGone
from service.store.inputs import InputStore

ARCHITECTURES_KEPT = 64


class Shelf:
    """Architectures and rows by content digest; the least recently used go first."""

    def __init__(self, store: InputStore, capacity: int) -> None:
        self._store = store
        self._capacity = capacity
        self._bytes = 0
        self._rows: OrderedDict[tuple[str, str], Inputs] = OrderedDict()
        self._architectures: OrderedDict[tuple[str, str], Architecture] = OrderedDict()

    async def architecture(self, tenant: str, digest: str) -> Architecture:
        """The architecture; raises InputsGone."""
        name = (tenant, digest)
        if name not in self._architectures:
            text = await self._store.architecture(tenant, digest)
            if text is None:
                raise InputsGone(f"architecture {digest} is no longer stored")
            document = json.loads(text)
            self._architectures[name] = await asyncio.to_thread(parse_architecture, document)
            while len(self._architectures) > ARCHITECTURES_KEPT:
                self._architectures.popitem(last=False)
        self._architectures.move_to_end(name)
        return self._architectures[name]

    async def rows(self, tenant: str, digest: str) -> Inputs:
        """The rows of a group; raises InputsGone."""
        name = (tenant, digest)
        found = self._rows.get(name)
        if found is None:
            fetched = await self._store.rows(tenant, digest)
            if fetched is None:
                raise InputsGone(f"the rows {digest} are no longer stored")
            # Two tiles that fetch the same rows get one object: what is computed of these rows is
            # kept under it.
            found = self._rows.setdefault(name, fetched)
            if found is fetched:
                self._bytes += found.x.nbytes
            while self._bytes > self._capacity and len(self._rows) > 1:
                _, dropped = self._rows.popitem(last=False)
                self._bytes -= dropped.x.nbytes
        if name in self._rows:
            self._rows.move_to_end(name)
        return found
