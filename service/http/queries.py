"""Query parameters and what steers a response: slices, Accept, Prefer, HEAD."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from service.http.problems import InvalidRequest, NotAcceptable

_SLICE = re.compile(r"([0-9]{0,12}):([0-9]{0,12})")
# RFC 7240, section 4.3; other preferences may stand beside it.
_WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;.*)?', re.IGNORECASE)
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def only(request: Request, *names: str) -> None:
    """Raises InvalidRequest for a query parameter of another name, or one that comes twice.

    A misspelt `row=0:5` that answered the whole matrix would be worse than an error.
    """
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in names:
            known = ", ".join(names) if names else "none"
            raise InvalidRequest(
                f"there is no parameter {name[:60]!r} here; known: {known}", parameter=name[:60]
            )
        if given.count(name) > 1:
            raise InvalidRequest(
                f"the parameter {name} comes {given.count(name)} times", parameter=name
            )


def head_only(request: Request) -> bool:
    """Whether the client asked with HEAD; routes know GET alone (service.context)."""
    return getattr(request.state, "head", False)


def bodiless(headers: dict[str, str]) -> Response:
    """The answer of a HEAD, with the headers that its GET has: where these give no length, because it
    is not known before the body is made, none is sent."""
    response = Response(None, 200, headers)
    if "Content-Length" not in headers:
        del response.headers["Content-Length"]
    return response


def read_slice(text: str | None, length: int, parameter: str) -> range:
    """`a:b` as the non-empty range [a, b) within [0, length); either end may be left out."""
    if text is None:
        return range(length)
    match = _SLICE.fullmatch(text)
    if match is None:
        raise InvalidRequest(
            f"expected a:b with 0 <= a < b <= {length}, got {text[:60]!r}", parameter=parameter
        )
    start, stop = int(match[1] or 0), int(match[2] or length)
    if not start < stop <= length:
        raise InvalidRequest(
            f"expected a:b with 0 <= a < b <= {length}, got {text}",
            parameter=parameter,
            limit=length,
            actual=stop,
        )
    return range(start, stop)


def waiting_seconds(request: Request, longest: float) -> float | None:
    """N of `Prefer: wait=N`, at most `longest`; None when the caller states no such preference."""
    for header in request.headers.getlist("prefer"):
        for preference in header.split(","):
            match = _WAIT.fullmatch(preference)
            if match is not None:
                return min(float(match[1]), longest)
    return None


def negotiate(request: Request, offers: tuple[str, ...]) -> str:
    """The offer that Accept likes best, the earlier one when it likes several alike (RFC 9110,
    section 12.5.1).

    Raises NotAcceptable when it admits none.
    """
    header = ", ".join(request.headers.getlist("accept"))
    if not header.strip():
        return offers[0]
    ranges: list[tuple[str, float]] = []
    for item in header.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        if name and _QUALITY.fullmatch(quality):
            ranges.append((name, float(quality)))

    def liking(offer: str) -> float:
        kind = offer.split("/", maxsplit=1)[0] + "/*"
        for pattern in (offer, kind, "*/*"):
            matches = [quality for name, quality in ranges if name == pattern]
            if matches:
                return max(matches)
        return 0.0

    best = max(offers, key=liking)
    if liking(best) == 0.0:
        raise NotAcceptable(
            f"expected Accept to admit {', '.join(offers)}, got {header[:100]!r}",
            parameter="Accept",
        )
    return best
