"""kernel_matrix against the spelled-out definition, on networks and shapes chosen to be awkward."""

import pytest

from tests.kernels.agreement import assert_as_defined
from tests.kernels.attention_networks import ATTENTION_NETWORKS
from tests.kernels.mechanism_networks import MECHANISM_NETWORKS, SLOW
from tests.kernels.window_networks import WINDOW_NETWORKS

CASES = WINDOW_NETWORKS | ATTENTION_NETWORKS | MECHANISM_NETWORKS


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES]
)
def test_kernels_are_what_the_definition_says(name: str) -> None:
    assert_as_defined(*CASES[name])
