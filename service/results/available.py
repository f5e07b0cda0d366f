"""Whether what is asked for can be sent: the output, its state, its tiles."""

from __future__ import annotations

from service.http.problems import Gone, Pending, Unavailable, UnknownResource
from service.records import JobRecord
from service.results.windows import Window


def check_expired(record: JobRecord) -> None:
    """Raises Gone for an expired job."""
    if record.state == "expired":
        raise Gone("the job has expired; the same request computes it again")


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
    counts = {"tiles_needed": len(needed), "tiles_missing": len(missing), "state": record.state}
    if record.ended:
        reason = record.error.get("detail", "") if record.error else ""
        raise Unavailable(
            f"the job is {record.state} and {len(missing)} of the {len(needed)} tiles asked for"
            " were not computed" + (f": {reason}" if reason else ""),
            also=counts,
        )
    # An honest guess when there is one, within what a poller finds bearable.
    seconds = 1 if record.eta_s is None else min(30, max(1, round(record.eta_s)))
    raise Pending(
        f"{len(missing)} of the {len(needed)} tiles asked for are not finished; ask again in"
        f" {seconds} s, for fewer rows, or wait for the job",
        headers={"Retry-After": str(seconds)},
        also=counts,
    )
