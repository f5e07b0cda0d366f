"""Every part of the vocabulary can be built, with every parameter, and is what JSON says it is."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

import gramd
from gramd import spec as s
from gramd.spec import decay, diag_reg, feature_map, layers, mechanism, method, model
from kernels.architecture import parse_architecture
from kernels.layers.attention import Attention
from kernels.mechanisms.delta import Delta
from kernels.method import Method
from kernels.predict.model import Model
from kernels.registry import AnyLayer, AnyMechanism, mechanisms, vocabulary

# What a parameter means nothing without.
COMPANIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("attention", "estimator"): {"scaling": "sqrt"},
    ("softmax", "tolerance"): {"rank": 4},
    ("Positional", "fraction"): {"merge": "concat"},
    ("Positional", "p_norm"): {"decay": {"type": "exponential"}},
}
# For what a type checker would not let pass.
untyped: Any = s
LAYER: TypeAdapter[Any] = TypeAdapter(AnyLayer)
MECHANISM: TypeAdapter[Any] = TypeAdapter(AnyMechanism)


def example(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A value that a schema admits and that is not the default."""
    for union in ("anyOf", "oneOf"):
        if union in part:
            options = [option for option in part[union] if option.get("type") != "null"]
            if "discriminator" in part:  # the builder writes the object that a name stands for
                options = [option for option in options if "enum" not in option]
            if part.get("items") is None and len(options) > 20:  # any layer: a small one will do
                return {"type": "dense"}
            values = [example(option, definitions) for option in options]
            usual = part.get("default")
            usual = usual["type"] if isinstance(usual, dict) else usual
            kinds = [v.get("type") if isinstance(v, dict) else v for v in values]
            other = [v for v, kind in zip(values, kinds, strict=True) if kind != usual]
            return (other or values)[-1]
    if "$ref" in part:
        return built(definitions[part["$ref"].rsplit("/", 1)[-1]], definitions)
    if "enum" in part or "const" in part:
        values = part.get("enum") or [part["const"]]
        return next((v for v in values[::-1] if v != part.get("default")), values[0])
    if part.get("type") == "array":
        if "enum" in part["items"]:
            return list(part["items"]["enum"])
        return [example(part["items"], definitions)]
    if part["type"] == "boolean":
        return not part.get("default", False)
    low = part.get("minimum", part.get("exclusiveMinimum", 0))
    high = part.get("maximum", part.get("exclusiveMaximum", low + 6))
    return low + 2 if part["type"] == "integer" else low + (high - low) * 3 / 8


def built(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest document of a part, its type first."""
    kind = schema["properties"].get("type", {}).get("const")
    start = {} if kind is None else {"type": kind}
    return start | {
        name: example(schema["properties"][name], definitions)
        for name in schema.get("required", [])
    }


def parts() -> Iterator[tuple[str, ModuleType, str, Mapping[str, Any], Mapping[str, Any]]]:
    """module, function, name, schema and definitions of everything there is to build."""
    for module, entries in (("layers", vocabulary()), ("mechanism", mechanisms())):
        for entry in entries:
            schema = entry["schema"]
            definitions = schema.get("$defs", {})
            if "$ref" in schema:
                schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
            yield entry["type"], getattr(s, module, layers), entry["type"], schema, definitions
    inner = Attention.model_json_schema()["$defs"] | Delta.model_json_schema()["$defs"]
    for name in ("Positional", "Residual", "Estimator"):
        yield name, layers, name.lower(), inner[name], inner
    for name in ("Indicator", "Exponential", "Rational"):
        yield name, decay, name.lower(), inner[name], inner
    for name in ("ReLUFeatures", "EluPlusOne", "DPFP"):
        kind = inner[name]["properties"]["type"]["const"]
        yield name, feature_map, kind, inner[name], inner
    unions: list[tuple[ModuleType, Any]] = [(method, Method), (model, Model)]
    for module, union in unions:
        definitions = TypeAdapter(union).json_schema()["$defs"]
        for schema in definitions.values():
            kind = schema["properties"]["type"]["const"]
            owner = module if hasattr(module, kind) else diag_reg
            yield kind, owner, kind, schema, definitions


PARTS = [
    pytest.param(*part, id=f"{part[1].__name__.rpartition('.')[2]}.{part[2]}") for part in parts()
]


@pytest.mark.parametrize(("name", "module", "function", "schema", "definitions"), PARTS)
def test_every_parameter_can_be_given_and_stands_in_the_json(
    name: str,
    module: ModuleType,
    function: str,
    schema: Mapping[str, Any],
    definitions: Mapping[str, Any],
) -> None:
    build = getattr(module, function)
    smallest = built(schema, definitions)
    given = {key: value for key, value in smallest.items() if key != "type"}
    assert build(**given) == smallest
    assert schema["description"].split("\n")[0] in (build.__doc__ or "")
    known = {key for key in schema["properties"] if key != "type"}
    assert set(inspect.signature(build).parameters) == known
    for key in known - set(given):
        value = example(schema["properties"][key], definitions)
        arguments = given | COMPANIONS.get((name, key), {}) | {key: value}
        start = {"type": smallest["type"]} if "type" in smallest else {}
        assert build(**arguments) == start | arguments, key
        # What is default is left out, and means the same.
        default = schema["properties"][key]["default"]
        default = default["type"] if isinstance(default, dict) else default
        if isinstance(default, list) and len(default) > 4:  # None stands for it in the signature
            default = None
        assert build(**given, **{key: default}) == smallest, key


@pytest.mark.parametrize(
    ("name", "module", "function", "schema", "definitions"),
    [part for part in PARTS if part.values[1] in (layers, mechanism)],
)
def test_what_is_built_is_read_back_the_same(
    name: str,
    module: ModuleType,
    function: str,
    schema: Mapping[str, Any],
    definitions: Mapping[str, Any],
) -> None:
    if "type" not in schema["properties"]:
        kind: Any = Attention.model_fields[name.lower()].annotation
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
    else:
        adapter = LAYER if module is layers else MECHANISM
    smallest = built(schema, definitions)
    given = {key: value for key, value in smallest.items() if key != "type"}
    optional = [key for key in schema["properties"] if key != "type" and key not in given]
    for key in [None, *optional]:
        more = {}
        if key is not None:
            value = example(schema["properties"][key], definitions)
            more = COMPANIONS.get((name, key), {}) | {key: value}
        document = getattr(module, function)(**(given | more))
        canonical = adapter.validate_json(json.dumps(document)).canonical()
        for written, said in document.items():
            assert _within(said, canonical[written]), (key, written)


def _within(said: Any, canonical: Any) -> bool:
    """Whether everything that was said stands in the canonical form, which says more."""
    if isinstance(said, Mapping):
        return all(
            key in canonical and _within(value, canonical[key]) for key, value in said.items()
        )
    if isinstance(said, list):
        pairs = zip(said, canonical, strict=True)
        return all(_within(one, other) for one, other in pairs)
    return said == canonical


def test_a_network_is_the_json_that_one_would_write() -> None:
    network = s.network(
        s.dense(w_std=np.float32(1.5)),  # pyright: ignore[reportArgumentType]  (numpy's own)
        s.relu(),
        s.attention(
            mechanism=s.mechanism.linear(feature_map="relu"),
            positional=s.positional("sum", decay="exponential"),
        ),
        s.parallel([[], [s.conv((3,), w_std=1.0), s.repeat(2, [s.dense(), s.relu()]), s.dense()]]),
        s.global_avg_pool(),
    )
    assert network == {
        "layers": [
            {"type": "dense", "w_std": 1.5},
            {"type": "relu"},
            {
                "type": "attention",
                "mechanism": {"type": "linear", "feature_map": {"type": "relu"}},
                "positional": {"merge": "sum", "decay": {"type": "exponential"}},
            },
            {
                "type": "parallel",
                "branches": [
                    [],
                    [
                        {"type": "conv", "window": [3]},
                        {
                            "type": "repeat",
                            "times": 2,
                            "layers": [{"type": "dense"}, {"type": "relu"}],
                        },
                        {"type": "dense"},
                    ],
                ],
            },
            {"type": "global_avg_pool"},
        ]
    }
    assert parse_architecture(network).canonical()["layers"][0]["w_std"] == 1.5


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (
            lambda: untyped.network([untyped.dense(), untyped.relu()]),
            "got a list; give layers one by one",
        ),
        (
            lambda: untyped.network(untyped.dense, untyped.relu),
            r"got the function dense: call it, dense\(\)",
        ),
        (
            lambda: untyped.network("dense"),
            "expected layer 0 to be one, such as dense.*got 'dense'",
        ),
        (
            lambda: untyped.network(untyped.repeat(2, [untyped.relu])),
            r"got the function relu: call it, relu\(\)",
        ),
        (lambda: untyped.attention(mechanism=untyped.mechanism.l2), "got the function l2: call it"),
        (lambda: untyped.dense(512), "takes w_std=, b_std=; got 1 without a name.*infinitely wide"),
        (lambda: untyped.dense(units=512), "takes w_std=, b_std=; got units; .*infinitely wide"),
        (
            lambda: untyped.conv(64, (3, 3)),
            r"conv\(\) takes window, strides=, .*got 2 without a name",
        ),
        (lambda: untyped.relu(1), r"^relu\(\) takes nothing; got 1 without a name$"),
    ],
)
def test_first_mistakes_say_what_was_meant(write: Callable[[], object], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        write()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tanh", r"it is elementwise\('tanh'\)"),
        ("global_average_pool", r"did you mean global_avg_pool\?"),
        ("softmax", "it is mechanism.softmax"),
        ("loo", "it is diag_reg.loo"),
        ("xyzzy", "no attribute 'xyzzy'$"),
    ],
)
def test_a_name_that_there_is_not_leads_to_one_that_there_is(name: str, said: str) -> None:
    with pytest.raises(AttributeError, match=said):
        getattr(s, name)


def test_infinity_is_a_word() -> None:
    assert s.model.gradient_flow(time=np.inf) == s.model.gradient_flow()


def test_the_service_reads_a_network_as_the_library_does(client: gramd.Client) -> None:
    network = s.network(
        s.dense(b_std=0.5),
        s.elementwise("tanh"),
        s.attention(mechanism="l2", residual=s.residual(0.25), causal=True),
        s.dense(),
        s.layer_norm(axes=["channel", "spatial"]),
        s.erf(b=2.0),
        s.flatten(),
        s.dense(),
    )
    answer = client.describe(network, (5, 3))
    assert answer["architecture"] == parse_architecture(network).canonical()
    assert answer["digest"] == parse_architecture(network).digest
    assert answer["description"]["input"] == {"positions": [5], "channels": 3}


def test_the_vocabulary_of_the_service_is_what_can_be_built(client: gramd.Client) -> None:
    known = client.layers()
    assert {entry["type"] for entry in known["layers"]} <= set(layers.__all__)
    assert {entry["type"] for entry in known["mechanisms"]} == set(mechanism.__all__)
