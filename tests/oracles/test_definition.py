"""The reference is itself held to the goldens, so that what it says of other networks counts."""

import pytest

from tests.oracles.definition import definition
from tests.oracles.golden import NAMES, NOT_DEFINED, assert_golden, load


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_DEFINED])
def test_definition_agrees_with_golden(name: str) -> None:
    golden = load(name)
    result = definition(golden.spec, **golden.inputs)
    assert_golden(golden, {output: result[output] for output in golden.expected})
