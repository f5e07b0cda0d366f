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
out. Nothing is checked here but the names: `Client.describe` checks a network without computing
anything, and says where it is wrong. Modules and functions are made from the service's vocabulary.
"""

from __future__ import annotations

from gramd.spec import decay as decay
from gramd.spec import diag_reg as diag_reg
from gramd.spec import feature_map as feature_map
from gramd.spec import mechanism as mechanism
from gramd.spec import method as method
from gramd.spec import model as model
from gramd.spec.document import Document, Given
from gramd.spec.layers import *  # noqa: F403  (layers.py says what it has)


def network(*layers: Given) -> Document:
    """A network of these layers, the first one next to the inputs: {"layers": [...]}."""
    return {"layers": [dict(layer) for layer in layers]}
