"""Environment variables as values: of the kind and in the range that a setting asks for."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path

from service.errors import StartError

PREFIX = "GRAMD_"
SWITCH = {"1": True, "true": True, "0": False, "false": False}
# Below a millisecond no clock here counts; longer than a century, and dates cannot be written down.
SHORTEST_S, LONGEST_S = 1e-3, 3.2e9
MOST = 10**15
# As alike as MAX_BODY is to MAX_BODY_BYTES. Names that begin with GRAMD_ and are none of ours are less
# so: the client's, those of docker/compose.yaml, and GRAMD_PORT or GRAMD_SERVICE_HOST, which Kubernetes
# gives to every pod beside a service named gramd.
ALIKE = 0.72

Value = Path | str | bool | int | timedelta


def read_value(variable: str, text: str, default: object, bounds: tuple[int, int]) -> Value:
    """The value of a variable, of the kind that `default` is (None stands for a path).

    `bounds`, both included, are of whole numbers. Raises StartError for anything else.
    """
    if isinstance(default, Path) or default is None:
        # Children are started with it, and a relative one would be another elsewhere.
        return Path(text).expanduser().absolute()
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        if text.lower() not in SWITCH:
            raise StartError(f"{variable} must be 1 or 0, got {text!r}")
        return SWITCH[text.lower()]
    seconds = isinstance(default, timedelta)
    least, most = (SHORTEST_S, LONGEST_S) if seconds else bounds
    kind = "number of seconds" if seconds else "whole number"
    if variable.endswith("_BYTES"):
        kind += " of bytes"
    wanted = f"a {kind} between {least:.10g} and {most:.10g}"
    try:
        number = float(text) if seconds else int(text)
    except ValueError as error:
        raise StartError(f"{variable} must be {wanted}, got {text!r}") from error
    if not least <= number <= most:
        raise StartError(f"{variable} must be {wanted}, got {text}")
    return timedelta(seconds=number) if seconds else int(number)


def refuse_misspelt(environ: Mapping[str, str], known: Collection[str]) -> None:
    """Raises StartError for a variable that is almost one of `known`.

    It would have no effect, and nobody would be told.
    """
    suffixes = {name.removeprefix(PREFIX): name for name in known}
    for name in sorted(environ):
        given = name.upper()
        if not given.startswith(PREFIX) or name in known:
            continue
        near = get_close_matches(given.removeprefix(PREFIX), suffixes, n=1, cutoff=ALIKE)
        if near:
            raise StartError(
                f"there is no setting {name}; did you mean {suffixes[near[0]]}? Rename or unset it"
            )
