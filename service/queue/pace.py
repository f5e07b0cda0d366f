"""What workers really take, measured in the nominal cost of each tile (kernels/plan/cost.py).

Every computed tile adds log(seconds / cost) to two decaying statistics: one of its network, and
one of everything of the same dtype and method on the same kind of device, for networks that were
never seen. Time spent on compiling is kept apart, by layer of the network.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from redis.asyncio import Redis

from service.store import keys
from service.store.connection import raw

# Of each earlier observation at every new one: the last twenty or so count.
DECAY = 0.95
# Compiling that takes less is the lookup of a program that is there already.
COMPILED_S = 0.02
# What is not known of a spread: e^0.7 is a factor of two either way, as the cost's own error.
SPREAD = 0.7
# Of a normal distribution: nine of ten lie below.
P90 = 1.2816
# Shapes remembered of a network: more than any plan has.
SHAPES = 1_000

# KEYS: the device's statistic, the network's; ARGV: log ratio, log of compile seconds a layer or
# "", shape, decay, ttl, shapes that are remembered
LEARN = """
local decay, ttl = tonumber(ARGV[4]), tonumber(ARGV[5])
local function add(key, name, value)
  local known = redis.call('HMGET', key, name .. ':n', name .. ':sum', name .. ':squares')
  redis.call('HSET', key,
    name .. ':n', tostring((tonumber(known[1] or 0)) * decay + 1),
    name .. ':sum', tostring((tonumber(known[2] or 0)) * decay + value),
    name .. ':squares', tostring((tonumber(known[3] or 0)) * decay + value * value))
end
for _, key in ipairs(KEYS) do
  add(key, 'pace', tonumber(ARGV[1]))
  if ARGV[2] ~= '' then add(key, 'compile', tonumber(ARGV[2])) end
  redis.call('EXPIRE', key, ttl)
end
if redis.call('HLEN', KEYS[2]) < tonumber(ARGV[6]) then
  redis.call('HSET', KEYS[2], 'shape:' .. ARGV[3], '1')
end
"""


@dataclass(frozen=True)
class Kind:
    """What a pace is that of: equal kinds take about equally long for equal costs."""

    device: str
    dtype: str
    method: str

    def __str__(self) -> str:
        return json.dumps([self.device, self.dtype, self.method])


def shape_name(
    outputs: Sequence[str], form: str, grid1: Sequence[int], grid2: Sequence[int]
) -> str:
    """What programs of a network are compiled for, as far as a plan shows it."""
    return json.dumps([sorted(outputs), form, list(grid1), list(grid2)])


@dataclass(frozen=True)
class Lognormal:
    """A decayed statistic: `mean` and `deviation` of the logarithms."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, fields: Mapping[str, str], name: str) -> "Lognormal | None":
        """The statistic of a stored hash; None without an observation."""
        if f"{name}:n" not in fields:
            return None
        n, total, squares = (float(fields[f"{name}:{part}"]) for part in ("n", "sum", "squares"))
        mean = total / n
        # One observation says nothing of the spread; SPREAD counts as another one.
        variance = (max(0.0, squares - n * mean * mean) + SPREAD**2) / (n + 1)
        return cls(mean, math.sqrt(variance))

    def quantile(self, z: float) -> float:
        """The value that z deviations above the median have."""
        return math.exp(self.mean + z * self.deviation)


@dataclass(frozen=True)
class Known:
    """What is known of a network's pace, or of any network's on such a device."""

    basis: Literal["network", "device"]
    pace: Lognormal
    compile: Lognormal | None
    shapes: frozenset[str]


class Pace:
    """The statistics, on Redis A."""

    def __init__(self, client: Redis, ttl: timedelta) -> None:
        self._client = client
        self._ttl = int(ttl.total_seconds())
        self._learn = client.register_script(LEARN)

    async def learn(
        self, tenant: str, architecture: str, kind: Kind, *,
        cost: float, seconds: float, compile_seconds: float, layers: int, shape: str,
    ) -> None:  # fmt: skip
        """A tile of this cost took `seconds`, of which `compile_seconds` were spent on compiling."""
        compiling = min(max(0.0, compile_seconds), seconds)
        computing = max(seconds - compiling, 1e-6)
        compiled = math.log(compiling / layers) if compiling > COMPILED_S else ""
        await self._learn(
            keys=[keys.pace(str(kind)), keys.network_pace(tenant, architecture, str(kind))],
            args=[math.log(computing / cost), compiled, shape, DECAY, self._ttl, SHAPES],
        )

    async def known(self, tenant: str, architecture: str, kinds: Sequence[Kind]) -> Known | None:
        """What is known on the first of these kinds of device that any tile was computed on."""
        for kind in kinds:
            network = await self._read(keys.network_pace(tenant, architecture, str(kind)))
            device = await self._read(keys.pace(str(kind)))
            shapes = frozenset(name[6:] for name in network if name.startswith("shape:"))
            compiling = Lognormal.of(network, "compile") or Lognormal.of(device, "compile")
            own, any_pace = Lognormal.of(network, "pace"), Lognormal.of(device, "pace")
            if own is not None:
                return Known("network", own, compiling, shapes)
            if any_pace is not None:
                return Known("device", any_pace, compiling, shapes)
        return None

    async def _read(self, key: str) -> dict[str, str]:
        found: dict[bytes, bytes] = raw(await self._client.hgetall(key))
        return {name.decode(): value.decode() for name, value in found.items()}
