"""What each command of `gramd` does, given the client and the parsed command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from gramd.arrays import Array
from gramd.client import Client
from gramd.errors import NotFound
from gramd.jobs import Job
from gramd.predictions import OUTPUTS
from gramd.resources import Jobs
from gramd.results import Result


class BadFile(Exception):
    """A file cannot be read or written, or holds something else than it should."""


def kernel(client: Client, options: argparse.Namespace) -> None:
    """`gramd kernel`: the matrices of a network into a file."""
    target = writable(options.output, len(options.outputs))
    if options.mask2 and not options.x2:
        raise BadFile("--mask2 is given without X2.npy")
    network = document(options.spec)
    job = client.kernels.submit(
        network,
        array(options.x1),
        array(options.x2),
        mask1=array(options.mask),
        mask2=array(options.mask2),
        outputs=options.outputs,
        dtype=options.dtype,
        form=options.form,
        method=options.method,
    )
    ended = waited(client.kernels, job, options.timeout)
    result = client.kernels.collect(ended)
    save(result, network, target)


def predict(client: Client, options: argparse.Namespace) -> None:
    """`gramd predict`: means, variances and classes into a file."""
    target = writable(options.output, len(options.outputs or ("mean", "classes")))
    network = document(options.spec)
    job = client.predictions.submit(
        network,
        array(options.x_train),
        array(options.y_train),
        array(options.x_test),
        mask_train=array(options.mask),
        mask_test=array(options.mask_new),
        model=options.model,
        task=options.task,
        outputs=options.outputs,
        dtype=options.dtype,
        method=options.method,
    )
    ended = waited(client.predictions, job, options.timeout)
    result = client.predictions.collect(ended)
    save(result, network, target)


def waited(resource: Jobs, job: Job, timeout: float | None) -> Job:
    """The job when it has ended; its warnings are shown, and how to end it when nobody waits."""
    for warning in job.warnings:
        print(f"gramd: {warning}", file=sys.stderr)
    try:
        return resource.wait(job, timeout=timeout)
    except KeyboardInterrupt:
        which = "--predictions " if resource.collection == "predictions" else ""
        print(f"\nthe job goes on; gramd jobs {which}cancel {job.id} ends it", file=sys.stderr)
        raise


def check(client: Client, options: argparse.Namespace) -> None:
    """`gramd check`: the canonical form, and what a network makes of an input."""
    show(client.describe(document(options.spec), options.shape))


def layers(client: Client, options: argparse.Namespace) -> None:
    """`gramd layers [NAME]`: one line each, or all about one."""
    known = client.layers()
    entries = [(kind, entry) for kind, group in known.items() for entry in group]
    if options.name is None:
        for kind, entry in entries:
            print(f"{entry['type']:20} {kind.removesuffix('s'):10} {entry['summary']}")
        return
    found = [entry for _, entry in entries if entry["type"] == options.name]
    if not found:
        raise BadFile(f"there is no layer or mechanism {options.name!r}; gramd layers lists them")
    for entry in found:
        show(entry)


def limits(client: Client, _: argparse.Namespace) -> None:
    """`gramd limits`: one line each."""
    for name, value in sorted(client.limits().items()):
        print(f"{name:28} {value:g}" if isinstance(value, float) else f"{name:28} {value}")


def jobs(client: Client, options: argparse.Namespace) -> None:
    """`gramd jobs`: the list, or something done with some."""
    resource = client.predictions if options.predictions else client.kernels
    if options.all:
        _delete_all(resource, options)
        return
    if options.action == "list":
        found = resource.newest(options.limit)
        if options.json:
            show([dict(job.document) for job in found])
            return
        for job in found:
            print(row(job))
        return
    if not options.jobs:
        raise BadFile(f"gramd jobs {options.action} needs the ID of a job; gramd jobs lists them")
    for job in options.jobs:
        if options.action == "delete":
            resource.delete(job)
        else:
            act = resource.cancel if options.action == "cancel" else resource.get
            show(dict(act(job).document))


def _delete_all(resource: Jobs, options: argparse.Namespace) -> None:
    if options.jobs or options.action != "delete":
        raise BadFile("--all stands in the place of the IDs of gramd jobs delete")
    for job in resource.newest(sys.maxsize):
        with suppress(NotFound):  # one that has just expired
            resource.delete(job)


def row(job: Job) -> str:
    """One line of the list."""
    shapes: dict[str, list[int]] = job.document.get("shapes") or {}
    shape = " x ".join(map(str, job.document.get("shape") or next(iter(shapes.values()), ())))
    tiles = f"{job.tiles_done}/{job.tiles_total}"
    outputs = ",".join(job.document.get("outputs", ()))
    return f"{job.id}  {job.state:9}  {tiles:>9} tiles  {shape:>15}  {outputs}"


def show(value: Any) -> None:
    """JSON for people."""
    print(json.dumps(value, indent=2))


def save(result: Result, network: Mapping[str, Any], target: Path) -> None:
    """All arrays, the network and the receipt, or the single array."""
    try:
        with target.open("wb") as file:
            if target.suffix == ".npy":
                np.save(file, next(iter(result.arrays.values())))
            else:
                told = {"network": json.dumps(network), "receipt": json.dumps(result.receipt)}
                named: dict[str, Any] = {**result.arrays, **told}
                np.savez(file, **named)
    except OSError as error:
        raise BadFile(f"cannot write {target}: {error.strerror}") from error


def writable(name: str, arrays: int) -> Path:
    """The file to write, before anything is computed for it."""
    path = Path(name)
    if path.suffix not in (".npz", ".npy") or (path.suffix == ".npy" and arrays > 1):
        raise BadFile(f"--output must be a .npz file, or .npy with one of --outputs; got {name}")
    if not path.parent.is_dir():
        raise BadFile(f"there is no directory {path.parent}")
    return path


def document(name: str) -> dict[str, Any]:
    """The JSON object in a file."""
    try:
        found = json.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(f"cannot read {name}: {error.strerror}") from error
    except ValueError as error:
        raise BadFile(f"{name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadFile(f'{name} must hold an object {{"layers": [...]}}')
    return found


def array(name: str | None) -> Array | None:
    """The array in a .npy file; None for no file."""
    if name is None:
        return None
    try:
        found = np.load(name, allow_pickle=False)
    except OSError as error:
        raise BadFile(f"cannot read {name}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise BadFile(f"{name} is no .npy file of numbers: {error}") from error
    if not isinstance(found, np.ndarray):
        raise BadFile(f"{name} holds several arrays; save the one that is meant with numpy.save")
    return found


def names(text: str, known: tuple[str, ...] = ("nngp", "ntk")) -> tuple[str, ...]:
    """nngp,ntk"""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found or set(found) - set(known) or len(set(found)) != len(found):
        choices = ", ".join(known)
        raise argparse.ArgumentTypeError(f"expected some of {choices}, by commas; got {text!r}")
    return found


def predicted(text: str) -> tuple[str, ...]:
    """mean,variance"""
    return names(text, OUTPUTS)


def shape(text: str) -> tuple[int, ...]:
    """T,d"""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected sizes such as 12,5, got {text!r}") from None


def kind(text: str) -> dict[str, Any]:
    """The name of a method or model, or its JSON."""
    if not text.lstrip().startswith("{"):
        return {"type": text}
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None
