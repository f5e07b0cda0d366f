"""Log lines with fields: JSON for machines, columns for people; what a request or a tile is about is
bound once and stands in every line that follows, in other libraries' lines too.

    request_id, tenant         while a request is answered (service.context)
    tile, job, tenant, request_id   while a tile is computed (service.worker.tiler); request_id is that of
                               the POST which asked for it
"""

import logging
import os
import sys
from typing import Any

import structlog
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from service.errors import StartError

# What every line has, in the order in which people read it.
FIRST = ("timestamp", "level", "part", "pid", "logger", "event")
FORMATS = ("auto", "json", "console")

_ABOUT: list[Processor] = [
    merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]

# Once for the process, at import: loggers are made by then, and lines before `start` (in tests: all
# of them) go through the standard library's own handlers.
structlog.configure(
    processors=[structlog.stdlib.filter_by_level, *_ABOUT, ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=BoundLogger,
    cache_logger_on_first_use=True,
)


def get_logger(name: str) -> BoundLogger:
    """The logger of a module: `log.info("what happened", field=value)`."""
    return structlog.stdlib.get_logger(name)


def start(part: str, level: str, form: str) -> None:
    """Send every line of this process to standard error, as `form` says ("auto": columns on a
    terminal, else JSON). Raises StartError for a level or format that there is not."""
    if form not in FORMATS:
        raise StartError(f"GRAMD_LOG_FORMAT must be {', '.join(FORMATS)}; got {form!r}")
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise StartError(f"GRAMD_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR; got {level!r}")

    def whence(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        fields: dict[str, Any] = {**event, "part": part, "pid": os.getpid()}
        first = {name: fields.pop(name) for name in FIRST if name in fields}
        return first | fields

    terminal = sys.stderr.isatty()
    render: Processor = (
        structlog.dev.ConsoleRenderer(
            colors=terminal, exception_formatter=structlog.dev.plain_traceback
        )
        if form == "console" or (form == "auto" and terminal)
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_ABOUT,
            processors=[whence, ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(level=levels[level.upper()], handlers=[handler], force=True)


def request_id() -> str:
    """The id of the request that is being answered, "" outside of one."""
    return get_contextvars().get("request_id", "")
