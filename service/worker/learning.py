"""What a computed tile tells of how long such tiles take, for estimates."""

from kernels.architecture import Architecture
from kernels.inputs import Inputs
from kernels.plan.cost import tile_cost
from service.queue.pace import Kind, Pace, shape_name
from service.queue.tasks import TileTask


async def learn(
    pace: Pace, device: str, task: TileTask, architecture: Architecture,
    sides: tuple[Inputs, Inputs | None], took: tuple[float, float],
) -> None:  # fmt: skip
    """Remember it.

    device: what kind it was computed on. sides: the rows of both, None for the first again. took:
    seconds in all, and those of them that went into compiling.
    """
    rows1, rows2 = sides[0], sides[1] or sides[0]
    asked = task.asked()
    cost = tile_cost(
        architecture, (len(rows1), len(rows2)), (rows1.grid, rows2.grid), outputs=asked.outputs,
        dtype=task.dtype, form=asked.form, method=asked.method, positions=bool(rows1.grid),
    )  # fmt: skip
    await pace.learn(
        task.tenant, task.architecture, Kind(device, task.dtype, asked.method.type),
        cost=cost, seconds=took[0], compile_seconds=took[1], layers=len(architecture.expanded),
        shape=shape_name(asked.outputs, asked.form, rows1.grid, rows2.grid),
    )  # fmt: skip
