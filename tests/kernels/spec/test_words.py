"""What came is told as JSON has it, since that is what was sent."""

from typing import Any

import pytest

from kernels.architecture import parse_architecture
from kernels.errors import SpecError

DENSE = {"type": "dense"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (None, "got null"),
        ([], "got []"),
        ({"layers": None}, "got null"),
        ({"layers": []}, "got []"),
        ({"layers": ()}, "got []"),
        ({"layers": {}}, "got {}"),
        ({"layers": [True]}, "got true"),
        ({"layers": [{"type": None}]}, "unknown type null;"),
        ({"layers": [{"type": "dnese"}]}, 'unknown type "dnese";'),
        ({"layers": [DENSE | {"w_std": None}]}, "got null"),
        ({"layers": [DENSE | {"w_std": False}]}, "got false"),
        ({"layers": [DENSE | {"w_std": "\ud800"}]}, r'got "\ud800"'),
        ({"layers": [DENSE | {"w_std": {1, 2}}]}, "got {1, 2}"),
        ({"layers": [{"type": "relu", "kind": "a" * 100}, *[DENSE] * 3]}, "unknown parameter"),
    ],
)
def test_a_mistake_is_told_in_the_words_of_json(document: Any, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_architecture(document)
    assert told in caught.value.detail
