"""`python -m service`: serve (everything), api or worker (its parts), health (is a part alive), keys."""

import argparse
import asyncio
import os
import socket
import sys
from dataclasses import replace

from service.errors import StartError
from service.processes.command_line import parser
from service.processes.garbage import no_collections
from service.settings import Settings

# uvicorn's own limits: what an idle or a stopping connection may hold on to.
KEEP_ALIVE_S = 20
SHUTDOWN_S = 5


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run the chosen part; returns its exit code.

    Each part imports what it needs and no more, which is most of the time that it takes to start.
    """
    options = parser().parse_args(arguments)
    try:
        settings = Settings.from_env()
        from service import logs

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
        return _worker(settings)
    except StartError as error:
        print(f"gramd: {error}", file=sys.stderr)
        return 2


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    from service.processes.supervisor import Supervisor, cpus, workers_for

    settings = _in_data_dir(options, settings)
    workers = options.workers
    if workers is None and not os.environ.get("GRAMD_WORKERS"):
        workers = workers_for(len(cpus()))
    if workers is not None:
        settings = replace(settings, workers=workers)
    return Supervisor(settings, options.host, options.port).run()


def _keys(options: argparse.Namespace, settings: Settings) -> int:
    from service.processes import keys_command

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
    with no_collections():
        from service.access.exposure import listen, may_be_open, refuse_exposure
        from service.app import create_app
        from service.http.protocol import Server, server_config

    settings.require_stores()
    # The supervisor hands over a socket that is bound already.
    adopted = None if options.fd is None else socket.socket(fileno=options.fd)
    with adopted or listen(options.host, options.port) as listener:
        refuse_exposure(settings, listener)
        app = create_app(settings, may_be_open=may_be_open(settings, listener))
        config = server_config(
            app,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        server = Server(config, app.state.stopping)
        asyncio.run(server.serve([listener]))
    return 0 if server.started else 1


def _worker(settings: Settings) -> int:
    # Tasks are the unit of parallelism. The own threads of NumPy's and SciPy's LAPACK (which is JAX's
    # too), chosen when they are loaded, fight with theirs: an eigendecomposition took ten times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with no_collections():
        from service.worker.worker import run

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
