"""Environment variables as values: of the kind and in the range that a setting asks for."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

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

STORE_SCHEMES = ("redis://", "rediss://", "unix://")
# What may stand behind the ? of a store's address, and what its values must be. redis-py knows more;
# the others are the service's own (how large a pool is, what replies look like).
STORE_OPTIONS = {
    "db": int, "socket_timeout": float, "socket_connect_timeout": float, "socket_keepalive": str,
    "health_check_interval": int, "retry_on_timeout": str, "client_name": str,
}  # fmt: skip
TLS_OPTIONS = dict.fromkeys(
    (
        "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile",
        "ssl_password", "ssl_check_hostname",
    ),
    str,
)  # fmt: skip

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


def check_address(variable: str, url: str) -> None:
    """Raises StartError, in words without a part of it, for what is no address of a Redis server.

    It may hold a password, and redis-py finds some of this out when it connects, and some of it never:
    a database that is no number would be the database 0.
    """
    if not url.startswith(STORE_SCHEMES):
        raise StartError(f"{variable} must begin with {', '.join(STORE_SCHEMES)}")
    try:
        sound = _is_address(url)
    except ValueError:
        sound = False
    if not sound:
        # Not `from` the error, which quotes it.
        raise StartError(
            f"{variable} is not an address; percent-encode # / ? @ in the password (expected"
            " redis://:PASSWORD@HOST:PORT/DATABASE, rediss:// or unix://PATH; options:"
            f" {', '.join(STORE_OPTIONS)}, and ssl_... with rediss://)"
        ) from None


def _is_address(url: str) -> bool:
    """Whether redis-py would connect to what is meant; raises ValueError for some that are none."""
    parts = urlsplit(url)
    known = STORE_OPTIONS | (TLS_OPTIONS if parts.scheme == "rediss" else {})
    for name, value in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True):
        if name not in known:
            return False
        known[name](value)
    if parts.fragment or url.endswith("#"):
        return False
    if parts.scheme == "unix":
        return len(parts.path) > 1
    database = parts.path.removeprefix("/")
    return parts.port != 0 and (not database or (database.isascii() and database.isdecimal()))


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
