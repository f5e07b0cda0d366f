"""`python -m service`: serve (everything), api or worker (its parts), health (is a part alive)."""

import argparse
import asyncio
import logging
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

from service import __version__
from service.errors import StartError
from service.settings import Settings, default_data_dir

# uvicorn's own limits: what an idle or a stopping connection may hold on to.
KEEP_ALIVE_S = 20
SHUTDOWN_S = 5

EPILOG = """\
environment:
  REDIS_URL, TILES_URL   two Redis servers of your own: queue, records and inputs
                         (maxmemory-policy noeviction, AOF), and tiles (a maxmemory,
                         allkeys-lru). Without them `serve` starts embedded ones.
  GRAMD_*                limits and times; GET /v1/limits shows those in force
"""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run the chosen part; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.from_env()
        logging.basicConfig(
            level=settings.log_level.upper(),
            format=f"%(asctime)s {options.part}[%(process)d] %(levelname)s %(message)s",
            stream=sys.stderr,
        )
        if options.part == "serve":
            return _serve(options, settings)
        if options.part == "api":
            return _api(options, settings)
        if options.part == "health":
            return _health(options, settings)
        # Tasks are the unit of parallelism. The own threads of NumPy's and SciPy's LAPACK (which is
        # JAX's too), chosen when they are loaded, fight with theirs: an eigendecomposition took ten
        # times as long.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from service.worker import run

        return run(settings)
    except StartError as error:
        print(f"gramd: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="gramd: exact NNGP and NTK matrices of infinitely wide networks over HTTP",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gramd {__version__}")
    parts = parser.add_subparsers(
        dest="part", required=True, metavar="serve | api | worker | health"
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
    for command in (serve, api):
        command.add_argument(
            "--host", default="127.0.0.1", help="address to listen on (%(default)s)"
        )
        command.add_argument("--port", type=_port, default=8000, help="port, 0: any (%(default)s)")
    serve.add_argument(
        "--data-dir", type=Path, metavar="DIR",
        help=f"where the embedded stores keep their data ({default_data_dir(os.environ)})",
    )  # fmt: skip
    serve.add_argument(
        "--workers", type=_workers, metavar="N", help="worker processes (GRAMD_WORKERS, else 2)"
    )
    # The supervisor hands the API a socket that is bound already.
    api.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port lies between 0 and 65535, got {text!r}")
    return int(text)


def _workers(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= 256:
        raise argparse.ArgumentTypeError(f"between 1 and 256 workers, got {text!r}")
    return int(text)


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    from service.supervisor import Supervisor

    if options.data_dir is not None:
        settings = replace(settings, data_dir=options.data_dir.expanduser().absolute())
    workers = options.workers
    if workers is None and not os.environ.get("GRAMD_WORKERS"):
        # Two, so that one is at work while the other is started again; no more than cores.
        workers = min(2, os.cpu_count() or 1)
    if workers is not None:
        settings = replace(settings, workers=workers)
    return Supervisor(settings, options.host, options.port).run()


def _health(options: argparse.Namespace, settings: Settings) -> int:
    from service.health import api_problem, worker_problem

    problem = api_problem(options.port) if options.of == "api" else worker_problem(settings)
    print(problem or "alive")
    return 1 if problem else 0


def _api(options: argparse.Namespace, settings: Settings) -> int:
    import uvicorn

    from service.app import create_app

    config = uvicorn.Config(
        create_app(settings),
        host=options.host,
        port=options.port,
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
    )
    server = uvicorn.Server(config)
    sockets = None if options.fd is None else [socket.socket(fileno=options.fd)]
    asyncio.run(server.serve(sockets))
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
