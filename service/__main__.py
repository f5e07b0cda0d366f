"""`python -m service`: serve (everything), api or worker (its parts), health (is a part alive), keys."""

import argparse
import asyncio
import os
import socket
import sys
from dataclasses import replace

from service import __version__, logs
from service.errors import StartError
from service.processes import keys_command
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
        logs.start(options.part, settings.log_level, settings.log_format)
        if settings.results_url and options.part in ("serve", "api", "worker"):
            from service.store.far_tiles import check_object_store

            # Its children would say the same, again and again; and the first large result is late
            # for finding out that a bucket's name or a key is wrong.
            check_object_store(settings.results_url)
        if options.part == "serve":
            return _serve(options, settings)
        if options.part == "api":
            return _api(options, settings)
        if options.part == "health":
            return _health(options, settings)
        if options.part == "keys":
            return _keys(options, settings)
        # Tasks are the unit of parallelism. The own threads of NumPy's and SciPy's LAPACK (which is
        # JAX's too), chosen when they are loaded, fight with theirs: an eigendecomposition took ten
        # times as long.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from service.worker.worker import run

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
    keys_command.add_arguments(api_keys)
    for command in (serve, api):
        command.add_argument(
            "--host", default="127.0.0.1", help="address to listen on (%(default)s)"
        )
        command.add_argument("--port", type=_port, default=8000, help="port, 0: any (%(default)s)")
    for command in (serve, api_keys):
        command.add_argument(
            "--data-dir", type=keys_command.directory, metavar="DIR",
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
    from service.processes.supervisor import Supervisor

    settings = _in_data_dir(options, settings)
    workers = options.workers
    if workers is None and not os.environ.get("GRAMD_WORKERS"):
        # Two, so that one is at work while the other is started again; no more than cores.
        workers = min(2, os.cpu_count() or 1)
    if workers is not None:
        settings = replace(settings, workers=workers)
    return Supervisor(settings, options.host, options.port).run()


def _keys(options: argparse.Namespace, settings: Settings) -> int:
    return keys_command.run(options, _in_data_dir(options, settings))


def _in_data_dir(options: argparse.Namespace, settings: Settings) -> Settings:
    if options.data_dir is None:
        return settings
    return replace(settings, data_dir=options.data_dir)


def _health(options: argparse.Namespace, settings: Settings) -> int:
    from service.processes.health import api_problem, worker_problem

    problem = api_problem(options.port) if options.of == "api" else worker_problem(settings)
    print(problem or "alive")
    return 1 if problem else 0


def _api(options: argparse.Namespace, settings: Settings) -> int:
    import uvicorn

    from service.access.exposure import listen, may_be_open, refuse_exposure
    from service.app import create_app
    from service.http.protocol import server_config

    settings.require_stores()
    # The supervisor hands over a socket that is bound already.
    adopted = None if options.fd is None else socket.socket(fileno=options.fd)
    with adopted or listen(options.host, options.port) as listener:
        refuse_exposure(settings, listener)
        config = server_config(
            create_app(settings, may_be_open=may_be_open(settings, listener)),
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        server = uvicorn.Server(config)
        asyncio.run(server.serve([listener]))
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
