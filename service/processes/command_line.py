"""What can be said to `python -m service`, without anything that takes time to import."""

import argparse
import os
from pathlib import Path

from service import __version__
from service.settings import default_data_dir

EPILOG = """\
environment:
  REDIS_URL, TILES_URL   two Redis servers of your own: queue, records and inputs
                         (maxmemory-policy noeviction, AOF), and tiles (a maxmemory,
                         allkeys-lru). Without them `serve` starts embedded ones.
  GRAMD_*                limits and times; GET /v1/limits shows those in force
"""


def parser() -> argparse.ArgumentParser:
    """Of every part and its options."""
    main = argparse.ArgumentParser(
        prog="python -m service",
        description="gramd: exact NNGP and NTK matrices of infinitely wide networks over HTTP",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("--version", action="version", version=f"gramd {__version__}")
    parts = main.add_subparsers(
        dest="part", required=True, metavar="serve | api | worker | health | keys"
    )

    def part(name: str, about: str) -> argparse.ArgumentParser:
        return parts.add_parser(
            name, help=about, description=about, epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    serve = part("serve", "the whole service: stores (embedded unless REDIS_URL), API, workers")
    api = part("api", "the HTTP API alone, on REDIS_URL and TILES_URL")
    part("worker", "one worker alone, on REDIS_URL and TILES_URL")
    health = part("health", "whether the API or the worker of this host is alive (exit code 0, 1)")
    health.add_argument("of", choices=("api", "worker"))
    health.add_argument("--port", type=_port, default=8000, help="the API's (%(default)s)")
    api_keys = part("keys", "make, list and revoke API keys, on REDIS_URL or the data directory")
    _add_key_arguments(api_keys)
    for command in (serve, api):
        command.add_argument(
            "--host", default="127.0.0.1", help="address to listen on (%(default)s)"
        )
        command.add_argument("--port", type=_port, default=8000, help="port, 0: any (%(default)s)")
    for command in (serve, api_keys):
        command.add_argument(
            "--data-dir", type=_directory, metavar="DIR",
            help=f"where the embedded stores keep their data ({default_data_dir(os.environ)})",
        )  # fmt: skip
    serve.add_argument(
        "--workers", type=_workers, metavar="N",
        help="worker processes (GRAMD_WORKERS, else one for every 8 CPUs)",
    )  # fmt: skip
    # The supervisor hands the API a socket that is bound already.
    api.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    return main


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port lies between 0 and 65535, got {text!r}")
    return int(text)


def _workers(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= 256:
        raise argparse.ArgumentTypeError(f"between 1 and 256 workers, got {text!r}")
    return int(text)


def _directory(text: str) -> Path:
    """What --data-dir names; "", an unset variable of a script, is no directory."""
    if not text:
        raise argparse.ArgumentTypeError("expected a directory, got ''")
    return Path(text).expanduser().absolute()


def _add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """The three actions and their options; --data-dir may stand before the action or behind it."""
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        # Without a default: it would take the place of what stands before the action.
        "--data-dir", type=_directory, metavar="DIR", default=argparse.SUPPRESS,
        help="where the embedded stores keep their data",
    )  # fmt: skip
    actions = parser.add_subparsers(dest="action", required=True, metavar="create | list | revoke")
    create = actions.add_parser(
        "create", help="make a key and print it, this once", parents=[where]
    )
    create.add_argument(
        "--tenant",
        help="whose key it is: the tenant of another key, to rotate keys; else a new one",
    )
    create.add_argument("--name", default="", help="a note for `keys list`")
    create.add_argument(
        "--metrics", action="store_true", help="a key that reads /metrics and nothing else"
    )
    actions.add_parser("list", help="every key, without its secret", parents=[where])
    revoke = actions.add_parser(
        "revoke", help="make a key worthless, from the next request on", parents=[where]
    )
    revoke.add_argument("id", help="as `keys list` shows it")
