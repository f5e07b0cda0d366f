"""Networks as Python writes them and JSON has them.

    from gramd import spec as s

    network = s.network(
        s.dense(w_std=1.5),
        s.relu(),
        s.attention(
            mechanism=s.mechanism.softmax(),
            positional=s.positional("sum", decay=s.decay.exponential(length=4)),
        ),
        s.global_avg_pool(),
        s.dense(),
    )

Every function returns plain JSON ({"type": "dense", "w_std": 1.5}), in which what is default is left
out. Nothing is checked here but names, and that layers are layers: `Client.describe` checks a network
without computing anything, and says where it is wrong. Modules and functions are made from the service's vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn, cast, get_args, get_type_hints

from gramd.spec import decay as decay
from gramd.spec import diag_reg as diag_reg
from gramd.spec import feature_map as feature_map
from gramd.spec import layers as layers
from gramd.spec import mechanism as mechanism
from gramd.spec import method as method
from gramd.spec import model as model
from gramd.spec.document import Document, Given, plain
from gramd.spec.layers import *  # noqa: F403  (layers.py says what it has)


def network(*layers: Given) -> Document:
    """A network of these layers, the first one next to the inputs: {"layers": [...]}.

    Raises TypeError for what is no layer.
    """
    return {"layers": [_layer(index, layer) for index, layer in enumerate(layers)]}


def _layer(index: int, given: Any) -> Document:
    if isinstance(given, Mapping):
        return dict(cast("Given", given))
    found = f"expected layer {index} to be one, such as dense(), got"
    if isinstance(given, Sequence) and not isinstance(given, str):
        raise TypeError(
            f"{found} a {type(given).__name__}; give layers one by one, network(*layers)"
        )
    plain(given)
    raise TypeError(f"{found} {given!r}")


if not TYPE_CHECKING:  # a checker that saw it would let every name pass

    def __getattr__(name: str) -> NoReturn:
        """What is meant by a name that there is not."""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_meant(name)}")


def _meant(name: str) -> str:
    if name in get_args(get_type_hints(layers.elementwise)["fn"]):
        return f"; it is elementwise({name!r})"
    for part in (mechanism, feature_map, decay, diag_reg, method, model):
        if name in part.__all__:
            return f"; it is {part.__name__.removeprefix(f'{__name__}.')}.{name}"
    near = get_close_matches(name, layers.__all__, 1)
    return f"; did you mean {near[0]}?" if near else ""
