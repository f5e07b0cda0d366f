"""One trace from a request to its tile: real processes, a real collector of OTLP over HTTP."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .serving import PATIENCE_S, REQUEST, Served

PREDICTION = {
    "architecture": REQUEST["architecture"],
    "x_train": [[1.0, 0.5], [0.0, 2.0]], "y_train": [0.0, 1.0], "x_test": [[1.0, 1.0]],
}  # fmt: skip
OTHER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Keeps the spans that are sent to it, each with the service that sent it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    about = {a.key: a.value.string_value for a in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        collector.spans += [(about["service.name"], s) for s in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that every process started from now on knows of."""
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{made.server.server_port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_one_trace_leads_from_the_request_to_its_tile(
    collector: Collector, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    served = Served(launch())
    headers = {
        "Prefer": "wait=60", "X-Request-Id": "r1", "traceparent": f"00-{TRACE}-{PARENT}-01",
    }  # fmt: skip
    answer = httpx.post(f"{served.url}/v1/kernels", json=REQUEST, headers=headers, timeout=70)
    job = answer.json()
    assert job["state"] == "succeeded"
    headers["traceparent"] = f"00-{OTHER_TRACE}-{PARENT}-01"
    answer = httpx.post(
        f"{served.url}/v1/predictions", json=PREDICTION, headers=headers, timeout=70
    )
    prediction = answer.json()
    assert prediction["state"] == "succeeded"
    served.process.terminate()
    assert served.process.wait(PATIENCE_S) == 0
    ours = [(who, s) for who, s in collector.spans if s.trace_id.hex() == TRACE]
    spans = {s.name: (who, s) for who, s in ours}
    assert set(spans) == {"POST /v1/kernels", "create job", "tile", "compute"}
    assert len(ours) == 4
    above = PARENT
    for name, who in (
        ("POST /v1/kernels", "gramd-api"),
        ("create job", "gramd-api"),
        ("tile", "gramd-worker"),
        ("compute", "gramd-worker"),
    ):
        sender, found = spans[name]
        assert (sender, found.parent_span_id.hex()) == (who, above), name
        above = found.span_id.hex()

    def attributes(name: str) -> dict[str, str]:
        return {a.key: a.value.string_value for a in spans[name][1].attributes}

    assert attributes("POST /v1/kernels")["gramd.request_id"] == "r1"
    assert attributes("tile")["gramd.job"] == attributes("create job")["gramd.job"] == job["id"]
    spans = {s.name: (who, s) for who, s in collector.spans if s.trace_id.hex() == OTHER_TRACE}
    assert set(spans) == {"POST /v1/predictions", "create job", "tile", "compute", "answer"}
    (sender, made), (_, asked) = spans["answer"], spans["POST /v1/predictions"]
    assert (sender, made.parent_span_id) == ("gramd-worker", asked.span_id)
    assert attributes("answer")["gramd.job"] == prediction["id"]


def test_without_the_extra_nothing_is_traced_and_nothing_breaks(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(f"no {name}", name=name)
sys.meta_path.insert(0, Refuse())
from service import logs, tracing
logs.start("api", "INFO", "json")
with tracing.exporting("api"), tracing.span("request"):
    assert tracing.here() == ""
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "install gramd-server[tracing]" in done.stderr
