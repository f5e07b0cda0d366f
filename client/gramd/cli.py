"""The command `gramd`: kernels, predictions and jobs from a shell.

Exit codes: 0 done; 1 the service refused; 2 the command line or a file is wrong; 3 the service cannot
be reached; 4 the job failed or was cancelled; 5 it still runs after --timeout; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn, TypeAlias

from gramd import cli_commands as commands
from gramd.client import Client
from gramd.connection import DEFAULT_URL, client_version
from gramd.errors import GramdError, JobFailed, StillRunning, Unreachable
from gramd.retry import Retry

REFUSED, USAGE, UNREACHABLE, FAILED, RUNNING, INTERRUPTED = 1, 2, 3, 4, 5, 130
Add: TypeAlias = Callable[..., argparse.ArgumentParser]

_CODES: tuple[tuple[type[GramdError], int], ...] = (
    (Unreachable, UNREACHABLE),
    (JobFailed, FAILED),
    (StillRunning, RUNNING),
    (GramdError, REFUSED),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parsed(arguments)
    try:
        retry = Retry(attempts=options.tries)
        shown = False if options.quiet else None
        with Client(options.url, retry=retry, progress=shown) as client:
            options.run(client, options)
    except commands.BadFile as error:
        return _fail(str(error), USAGE)
    except GramdError as error:
        return _fail(str(error), next(code for kind, code in _CODES if isinstance(error, kind)))
    except (ValueError, TypeError) as error:  # arrays that are none of the shapes there are
        return _fail(str(error), USAGE)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # `gramd layers | head`
        sys.stderr.close()
        return 0
    return 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; IDs may come after them too, of which argparse takes none once it saw an option."""
    whole = parser()
    options, rest = whole.parse_known_args(arguments)
    if rest and (options.run is not commands.jobs or any(word.startswith("-") for word in rest)):
        whole.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.jobs = [*options.jobs, *rest]
    return options


def _fail(message: str, code: int) -> int:
    print(f"gramd: {message}", file=sys.stderr)
    return code


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = _Parser(
        prog="gramd",
        description="NNGP and NTK matrices of infinitely wide networks, from a gramd service.",
        epilog="The API key, if the service asks for one, is read from GRAMD_KEY. " + _codes(),
    )
    whole.add_argument("--version", action="version", version=f"gramd {client_version()}")
    _add_common(whole, None, False, Retry().attempts)
    # The same after the command; there, what is left out must not undo what stood before it.
    common = _Parser(add_help=False)
    _add_common(common, argparse.SUPPRESS, argparse.SUPPRESS, argparse.SUPPRESS)
    subparsers = whole.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    add = partial(subparsers.add_parser, parents=[common])
    _add_kernel(add)
    _add_predict(add)
    _add_check(add)
    _add_jobs(add)
    layers = add("layers", help="the vocabulary, or one layer or mechanism of it")
    layers.add_argument("name", nargs="?", metavar="NAME")
    layers.set_defaults(run=commands.layers)
    limits = add("limits", help="every limit of the service")
    limits.set_defaults(run=commands.limits)
    return whole


def _add_common(to: argparse.ArgumentParser, url: Any, quiet: Any, tries: Any) -> None:
    where = f"of the service (default: GRAMD_URL, else {DEFAULT_URL})"
    to.add_argument("--url", default=url, help=where)
    often = "of a call that gets no answer (default: 6)"
    to.add_argument("--tries", type=int, metavar="N", default=tries, help=often)
    silent = "no progress on standard error"
    to.add_argument("--quiet", action="store_true", default=quiet, help=silent)


def _add_kernel(add: Add) -> None:
    kernel = add("kernel", help="compute kernels into a file")
    kernel.add_argument("spec", metavar="SPEC.json", help='the network, {"layers": [...]}')
    kernel.add_argument(
        "x1", metavar="X.npy", help="inputs (n, d), (n, T, d), (n, H, W, C) or (n, D, H, W, C)"
    )
    kernel.add_argument("x2", metavar="X2.npy", nargs="?", help="the other side (default: X again)")
    kernel.add_argument(
        "--mask", metavar="M.npy", help="boolean, true where a position of X is real"
    )
    kernel.add_argument("--mask2", metavar="M2.npy", help="the same for X2")
    kernel.add_argument(
        "--output", "-o", metavar="K.npz", required=True,
        help="arrays nngp and ntk, network and receipt as JSON; K.npy for a single array",
    )  # fmt: skip
    kernel.add_argument(
        "--outputs", type=commands.names, default=("nngp", "ntk"), help="nngp, ntk or nngp,ntk"
    )
    kernel.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    kernel.add_argument("--form", choices=("matrix", "diagonal", "positions"), default="matrix")
    kernel.add_argument(
        "--method", type=commands.kind, metavar="METHOD",
        help='exact, additive, monte_carlo, or JSON: {"type": "additive", "tolerance": 1e-4}',
    )  # fmt: skip
    kernel.add_argument("--timeout", type=float, metavar="S", help="wait so many seconds at most")
    kernel.set_defaults(run=commands.kernel)


def _add_predict(add: Add) -> None:
    predict = add("predict", help="what networks that learnt Y of X say of NEW, into a file")
    predict.add_argument("spec", metavar="SPEC.json", help='the network, {"layers": [...]}')
    predict.add_argument("x_train", metavar="X.npy", help="training inputs")
    predict.add_argument("y_train", metavar="Y.npy", help="targets (n) or (n, outputs)")
    predict.add_argument("x_test", metavar="NEW.npy", help="inputs to predict for")
    predict.add_argument(
        "--mask", metavar="M.npy", help="boolean, true where a position of X is real"
    )
    predict.add_argument("--mask-new", metavar="M2.npy", help="the same for NEW")
    predict.add_argument(
        "--output", "-o", metavar="P.npz", required=True,
        help="an array for each of --outputs, network and receipt as JSON",
    )  # fmt: skip
    predict.add_argument(
        "--model", type=commands.kind, metavar="MODEL",
        help='gaussian_process (default), gradient_flow, kernel_ridge, or JSON: {"type":'
        ' "gradient_flow", "time": 10, "diag_reg": {"type": "loo"}}',
    )  # fmt: skip
    predict.add_argument("--task", choices=("regression", "classification"), default="regression")
    predict.add_argument(
        "--outputs", type=commands.predicted, help="of mean, variance, covariance and classes"
    )
    predict.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    predict.add_argument("--method", type=commands.kind, metavar="METHOD", help="as for kernel")
    predict.add_argument("--timeout", type=float, metavar="S", help="wait so many seconds at most")
    predict.set_defaults(run=commands.predict)


def _add_check(add: Add) -> None:
    check = add("check", help="check a network without computing anything")
    check.add_argument("spec", metavar="SPEC.json")
    check.add_argument(
        "--shape", type=commands.shape, metavar="T,d", help="of one input, without the batch axis"
    )
    check.set_defaults(run=commands.check)


def _add_jobs(add: Add) -> None:
    jobs = add("jobs", help="list jobs; show, cancel or delete some")
    jobs.add_argument(
        "action", choices=("list", "show", "cancel", "delete"), nargs="?", default="list"
    )
    jobs.add_argument("jobs", metavar="ID", nargs="*")
    jobs.add_argument("--all", action="store_true", help="delete every one of them")
    jobs.add_argument("--limit", type=int, default=20, help="of the list (default: 20)")
    jobs.add_argument("--predictions", action="store_true", help="predictions, not kernels")
    jobs.add_argument("--json", action="store_true", help="the list as JSON")
    jobs.set_defaults(run=commands.jobs)


def _codes() -> str:
    return (__doc__ or "").strip().rpartition("\n\n")[2].replace("\n", " ")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


if __name__ == "__main__":
    sys.exit(main())
