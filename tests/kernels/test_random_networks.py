"""Random networks against the spelled-out definition."""

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings

from tests.kernels.agreement import assert_as_defined
from tests.kernels.networks import Layer
from tests.kernels.random_networks import problems
from tests.oracles.gaussian import TooFine

Problem = tuple[list[Layer], tuple[int, ...], tuple[int, ...] | None, str]

# Shrinking compiles a network a step, so a failure is shown as it was found.
FEW = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)


def assert_as_defined_or_out_of_reach(problem: Problem) -> None:
    """Another network takes the place of one whose definition cannot be integrated in time."""
    try:
        assert_as_defined(*problem)
    except TooFine:
        reject()


@FEW
@given(problem=problems())
def test_random_networks_are_as_defined(problem: Problem) -> None:
    assert_as_defined_or_out_of_reach(problem)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(FEW, max_examples=300, derandomize=False, report_multiple_bugs=False)
@given(problem=problems())
def test_many_random_networks_are_as_defined(problem: Problem) -> None:
    assert_as_defined_or_out_of_reach(problem)
