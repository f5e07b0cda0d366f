"""Content-Digest (RFC 9530): whether the bytes that came are those that were sent."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from starlette.requests import Request

from service.http.problems import InvalidRequest, MalformedRequest

HEADER = "Content-Digest"
# The algorithms that RFC 9530 calls active, by their names in the header and in hashlib.
ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
_ENTRY = re.compile(r"\s*([a-z0-9*_.-]+)\s*=\s*:([A-Za-z0-9+/=]*):\s*")
_EXAMPLE = f'{HEADER}: sha-256=:"$(openssl dgst -sha256 -binary FILE | base64)":'


class ContentDigest:
    """Digests of a body, fed while it is read and compared at its end."""

    def __init__(self, expected: dict[str, bytes]) -> None:
        self._expected = expected
        self._running = {name: hashlib.new(ALGORITHMS[name]) for name in expected}

    @classmethod
    def of(cls, request: Request) -> ContentDigest | None:
        """What the request says of its body; None when it says nothing that is known here.

        Raises MalformedRequest for a header that is not a dictionary of byte sequences.
        """
        text = ", ".join(request.headers.getlist(HEADER.lower()))
        expected: dict[str, bytes] = {}
        for entry in text.split(",") if text.strip() else []:
            match = _ENTRY.fullmatch(entry)
            try:
                value = None if match is None else base64.b64decode(match[2], validate=True)
            except binascii.Error:
                value = None
            if match is None or value is None:
                raise MalformedRequest(
                    f"expected sha-256=:base64 of the digest:, got {entry.strip()[:100]!r}",
                    parameter=HEADER,
                )
            if match[1] in ALGORITHMS:
                expected[match[1]] = value
        return cls(expected) if expected else None

    @classmethod
    def required(cls, request: Request) -> ContentDigest:
        """The digest that a body must have; raises InvalidRequest when it has none, or none that is read
        here."""
        found = cls.of(request)
        if found is None:
            raise InvalidRequest(
                f"a {HEADER} with {' or '.join(ALGORITHMS)} is required here, so that a part that"
                f" was damaged on its way is never stored; {_EXAMPLE}",
                parameter=HEADER,
            )
        return found

    def update(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        for running in self._running.values():
            running.update(chunk)

    def check(self) -> None:
        """The body is whole; raises InvalidRequest when it is not what was announced."""
        for name, running in self._running.items():
            if not hmac.compare_digest(running.digest(), self._expected[name]):
                came = base64.b64encode(running.digest()).decode()
                raise InvalidRequest(
                    f"the bytes that came have {name}=:{came}:, which is not what {HEADER} says;"
                    " send them again",
                    parameter=HEADER,
                )
