"""How XLA compiles whatever numbers of a tile come from: closed forms and finite networks alike.

Said at each compilation and not in XLA_FLAGS, since it decides the last bits: the numbers are the
same in every process, whatever its environment. A change of these is a change of numbers
(`kernels.NUMERICS_VERSION`).
"""

from typing import Final

COMPILER_OPTIONS: Final = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_disable_hlo_passes": "cpu-parallel-task-assigner",
    "xla_cpu_prefer_vector_width": 512,
}
"""Tiles are the unit of parallelism, so XLA should use no threads of its own: loops that it cuts up
for all cores get in each other's way and carry blocks from one core's cache to another's. By default
it uses half of an AVX-512 register, and elementwise layers take a quarter longer; processors without
such registers do not care. XLA then compiles arctan and arccos wrongly, which no rule may use:
tests/kernels/engine/test_elementary.py holds those that rules do use to NumPy."""

QUICKLY: Final = {
    "xla_backend_optimization_level": 1,
    "xla_disable_hlo_passes": (
        f"{COMPILER_OPTIONS['xla_disable_hlo_passes']},while-loop-invariant-code-motion"
    ),
}
"""Beside COMPILER_OPTIONS, for functions that come in many shapes and mostly multiply matrices: a fifth
less time to compile, and as fast. LLVM's level 1 vectorises loops, but makes windows over images up to
half slower. Loops keep what they might compute once before they begin: a mask or the square of a number
costs each step nothing, and would be another function to compile."""

LARGE_PRODUCTS: Final = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Beside the others, for functions whose products of matrices are of more than 128 positions and not
in batches: Eigen computes them instead of YNNPACK, which is up to a fifth slower where a side is no
multiple of 64 (GFlop/s of a core at 184: 197 against 235, at 492: 227 against 253). Never for small
ones: XLA needs more than 20 GB to compile a chain of products of 14 x 14 that YNNPACK may not have. Nor
where products of bfloat16 are wanted (kernels/mechanisms/flat.py), which Eigen has not."""
