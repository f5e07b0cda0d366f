"""Traces to an OpenTelemetry collector: one from a request to its last tile.

    request  POST /v1/kernels      a child of the caller's traceparent, if it sent one
     '-- create job
          '-- tile                 on whichever worker computes it
               '-- compute

Nothing is traced unless OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set and the extra
`tracing` is installed. A place in a trace travels to the workers as a plain string, W3C's
traceparent, in the tile's task. The provider is ours and not the process's global one, so that
libraries which trace themselves add nothing.
"""

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service import __version__
from service.logs import get_logger

log = get_logger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

_W3C = TraceContextTextMapPropagator()
_OFF: Tracer = trace.NoOpTracer()
_tracer = _OFF


@contextmanager
def exporting(part: str) -> Generator[None, None, None]:
    """Inside, spans of this process go to the collector that the environment names, if it names
    one; at the end the last of them are sent."""
    global _tracer  # noqa: PLW0603  (one a process, like the environment it is made from)
    if not any(os.environ.get(name) for name in ENDPOINTS):
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("no traces: install gramd-server[tracing]", missing=error.name)
        yield
        return
    about = {"service.name": f"gramd-{part}", "service.version": __version__}
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("gramd", __version__)
    try:
        yield
    finally:
        _tracer = _OFF
        provider.shutdown()


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    **attributes: str | int | float,
) -> Generator[Span, None, None]:
    """A span around the block, below `parent` (a traceparent) or else below the one around it.

    An exception that leaves the block is recorded. Names of attributes have `__` for dots.
    """
    context = None if parent is None else _W3C.extract({"traceparent": parent})
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    with _tracer.start_as_current_span(
        name, context=context, kind=kind, attributes=named
    ) as current:
        yield current


def request_span(method: str, traceparent: str) -> AbstractContextManager[Span]:
    """The span of a request, below the caller's own if it sent its traceparent."""
    return span(method, parent=traceparent, kind=SpanKind.SERVER)


def describe_request(current: Span, method: str, route: str, status: int, request_id: str) -> None:
    """What is known of a request at its end; names as OpenTelemetry has them for HTTP."""
    current.update_name(f"{method} {route}")
    current.set_attribute("http.request.method", method)
    current.set_attribute("http.route", route)
    current.set_attribute("http.response.status_code", status)
    current.set_attribute("gramd.request_id", request_id)
    if status >= 500:
        current.set_status(StatusCode.ERROR)


def here() -> str:
    """The traceparent of the span around this, "" when nothing is traced."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent", "")
