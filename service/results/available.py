"""Whether what is asked for can be sent: the output, its state, its tiles."""

from __future__ import annotations

from typing import Any, Protocol

from service.http.problems import Gone, Pending, Problem, Unavailable, UnknownResource
from service.records import JobRecord
from service.results.windows import Window

# What a poller finds bearable.
MOST_PATIENT_S = 30


class Awaited(Protocol):
    """A job or a prediction."""

    @property
    def state(self) -> str: ...
    @property
    def ended(self) -> bool: ...
    @property
    def error(self) -> dict[str, Any] | None: ...
    @property
    def eta_s(self) -> float | None: ...


def check_expired(record: Awaited, noun: str = "job") -> None:
    """Raises Gone for what has expired."""
    if record.state == "expired":
        raise Gone(f"the {noun} has expired; the same request computes it again")


def retry_after(eta_s: float | None) -> int:
    """In how many seconds it is worth asking again: an honest guess where there is one."""
    return 1 if eta_s is None else min(MOST_PATIENT_S, max(1, round(eta_s)))


def not_there(record: Awaited, ended: str, pending: str, **also: int) -> Problem:
    """What is the matter with numbers that are not there: Unavailable when the record has ended, in the
    words of `ended` and its error, else Pending (Retry-After), in those of `pending`, where `{}` stands
    for the seconds. Both have the state and `also` as members."""
    members = {**also, "state": record.state}
    if record.ended:
        reason = record.error.get("detail", "") if record.error else ""
        return Unavailable(ended + (f": {reason}" if reason else ""), also=members)
    seconds = retry_after(record.eta_s)
    return Pending(pending.format(seconds), headers={"Retry-After": str(seconds)}, also=members)


def check_available(record: JobRecord, output: str) -> None:
    """Raises Gone for an expired job, and UnknownResource for an output it does not compute."""
    check_expired(record)
    if output in record.results:
        return
    kernel, error = output.removesuffix("_stderr"), output.endswith("_stderr")
    if error and kernel in record.outputs:
        raise UnknownResource(
            f"this job computes the {kernel} in closed form, which has no standard error; estimates"
            ' have one: the method monte_carlo, attention of scaling "sqrt" without a closed form'
        )
    raise UnknownResource(
        f"this job computes {', '.join(record.results)}; ask for {kernel} when creating one"
    )


def check_finished(window: Window) -> None:
    """Raises Pending, or Unavailable when the job has ended, unless all tiles needed have been
    computed."""
    record, needed = window.layout.record, window.needed()
    missing = needed - window.layout.done
    if record.state == "succeeded" or not missing:
        return
    some = f"{len(missing)} of the {len(needed)} tiles asked for"
    raise not_there(
        record,
        ended=f"the job is {record.state} and {some} were not computed",
        pending=f"{some} are not finished; ask again in {{}} s, for fewer rows, or wait for the job",
        tiles_needed=len(needed),
        tiles_missing=len(missing),
    )
