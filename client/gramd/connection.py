"""Carries out the steps of a talk over HTTP: once with threads in mind, once with await."""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import httpx

from gramd.exchange import Lost, Pause, Reply, Send, Step, Talk

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"
# The service holds a waiting request for at most a minute (Prefer: wait).
READ_SECONDS = 90.0
CONNECT_SECONDS = 10.0


def _options(url: str | None, key: str | None) -> dict[str, Any]:
    """What both httpx clients are made with; the environment fills in what is left out."""
    address = url or os.environ.get("GRAMD_URL") or DEFAULT_URL
    parsed = httpx.URL(address)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"expected a URL such as {DEFAULT_URL}, got {address!r}")
    # A file that it was read from ends with a new line.
    secret = (key or os.environ.get("GRAMD_KEY") or "").strip()
    if not (secret.isascii() and secret.isprintable()):
        raise ValueError("expected an API key of printable ASCII characters; this one has others")
    headers = {"User-Agent": f"gramd-client/{client_version()}", "Accept": "application/json"}
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    return {"base_url": parsed, "headers": headers}


def client_version() -> str:
    """The version of this package; "checkout" where it is not installed."""
    try:
        return version("gramd")
    except PackageNotFoundError:  # run from a checkout
        return "checkout"


def _arguments(step: Send) -> dict[str, Any]:
    request = step.request
    quiet = READ_SECONDS if step.silence is None else step.silence
    return {
        "method": request.method,
        "url": request.path,
        "params": dict(request.params) or None,
        "headers": dict(request.headers),
        "content": request.body or None,
        "timeout": httpx.Timeout(quiet, connect=CONNECT_SECONDS),
    }


def _lower(headers: httpx.Headers) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _lost(error: httpx.TransportError, url: str) -> Lost:
    # Nothing reached the service when there was no connection to send it over.
    before = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
    sent = not isinstance(error, before)
    what = "the connection broke off" if sent else "no connection"
    # What newcomers meet first: nothing runs yet, or it runs elsewhere.
    advice = "" if sent else "; is the service running? GRAMD_URL or `url` says where"
    return Lost(f"{what} ({str(error) or type(error).__name__}) at {url}{advice}", sent=sent)


class Connection:
    """HTTP connections to one service, kept open between calls; threads may share one."""

    def __init__(self, url: str | None, key: str | None) -> None:
        self._http = httpx.Client(**_options(url, key))
        # A client that is dropped, or lives as long as its process, leaves no socket open either.
        self._end = weakref.finalize(self, self._http.close)

    @property
    def url(self) -> str:
        """Where the service is."""
        return str(self._http.base_url).rstrip("/")

    def run(self, talk: Talk[T]) -> T:
        """The talk's result."""
        try:
            step = next(talk)
            while True:
                try:
                    answer = self._do(step)
                except Lost as lost:
                    step = talk.throw(lost)
                else:
                    step = talk.send(answer)
        except StopIteration as end:
            return end.value
        finally:
            talk.close()

    def _do(self, step: Step) -> Reply | None:
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        try:
            with self._http.stream(**_arguments(step)) as response:
                headers = _lower(response.headers)
                if step.sink is None or not response.is_success:
                    return Reply(response.status_code, headers, response.read())
                step.sink.begin(headers)
                for data in response.iter_raw():
                    step.sink.feed(data)
                    if step.enough():
                        break
                return Reply(response.status_code, headers)
        except httpx.TransportError as error:
            raise _lost(error, self.url) from error

    def close(self) -> None:
        """Close the connections."""
        self._end()


class AsyncConnection:
    """The same for asyncio."""

    def __init__(self, url: str | None, key: str | None) -> None:
        self._http = httpx.AsyncClient(**_options(url, key))

    @property
    def url(self) -> str:
        """Where the service is."""
        return str(self._http.base_url).rstrip("/")

    async def run(self, talk: Talk[T]) -> T:
        """The talk's result."""
        try:
            step = next(talk)
            while True:
                try:
                    answer = await self._do(step)
                except Lost as lost:
                    step = talk.throw(lost)
                else:
                    step = talk.send(answer)
        except StopIteration as end:
            return end.value
        finally:
            talk.close()

    async def _do(self, step: Step) -> Reply | None:
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        try:
            async with self._http.stream(**_arguments(step)) as response:
                headers = _lower(response.headers)
                if step.sink is None or not response.is_success:
                    return Reply(response.status_code, headers, await response.aread())
                step.sink.begin(headers)
                async for data in response.aiter_raw():
                    step.sink.feed(data)
                    if step.enough():
                        break
                return Reply(response.status_code, headers)
        except httpx.TransportError as error:
            raise _lost(error, self.url) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
