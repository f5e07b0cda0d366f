"""Conditional requests and byte ranges (RFC 9110, sections 13 and 14).

If-Match         412: what would be sent is none of what the client wants more of
If-None-Match    304: the client has what would be sent
Range            206: one range of the bytes; several at once are answered whole, as allowed
If-Range         the range only while the client's part is of the same bytes, else all of them
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.http.problems import PreconditionFailed, RangeNotSatisfiable
from service.http.queries import head_only

_TAG = re.compile(r'\s*(W/)?("[!#-~\x80-\xff]*")\s*(?:,|$)')
_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)


def etag_of(*content: Any) -> str:
    """A strong ETag: equal content, equal bytes."""
    text = json.dumps(content, separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def not_modified(request: Request, etag: str) -> bool:
    """Whether If-None-Match says that the client has this already (compared weakly).

    Raises PreconditionFailed where If-Match, which comes first, does not name it (compared strongly).
    """
    wanted = request.headers.getlist("if-match")
    if wanted and not any(weak != "W/" and tag in ("*", etag) for weak, tag in _tags(wanted)):
        raise PreconditionFailed(
            f"this has the ETag {etag} now, which is none of If-Match: begin anew, without If-Match",
            parameter="If-Match",
        )
    return any(tag in ("*", etag) for _, tag in _tags(request.headers.getlist("if-none-match")))


def _tags(lines: list[str]) -> list[tuple[str, str]]:
    """The ETags of a list, each behind the mark of a weak one or nothing; "*" alone is one of them."""
    text = ", ".join(lines)
    return [("", "*")] if text.strip() == "*" else _TAG.findall(text)


def state_of(request: Request, resource: BaseModel) -> Response:
    """A resource as JSON under its ETag, or 304."""
    body = resource.model_dump(mode="json")
    headers = {"ETag": etag_of(body)}
    if not_modified(request, headers["ETag"]):
        return Response(None, 304, headers)
    return JSONResponse(body, 200, headers)


def byte_range(request: Request, etag: str, length: int) -> range | None:
    """The bytes of `length` that the client asks for; None for all of them.

    Raises RangeNotSatisfiable for a range behind the end. Only GET knows ranges: HEAD says what a
    GET without one would.
    """
    if head_only(request):
        return None
    condition = request.headers.get("if-range")
    if condition is not None and condition.strip() != etag:
        return None
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        first, last = int(match[1]), int(match[2]) if match[2] else length - 1
        if match[2] and last < first:
            return None  # not a range at all, which is to be ignored
    else:
        first, last = max(0, length - int(match[2])), length - 1
    if first >= length or (not match[1] and match[2].strip("0") == ""):
        raise RangeNotSatisfiable(
            f"there are {length} bytes, 0 to {length - 1}; got {match[0].strip()!r}",
            parameter="Range",
            headers={"Content-Range": f"bytes */{length}"},
        )
    return range(first, min(last, length - 1) + 1)
