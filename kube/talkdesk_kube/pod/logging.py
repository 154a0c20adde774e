"""One log stream for the whole process, ours and the libraries', on standard error.

JSON lines by default: ``timestamp`` (UTC), ``level``, ``logger``, ``event`` and the event's own fields.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

from talkdesk_kube.pod.redaction import redact

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

#: Libraries that log each request, address included, at info or debug: heard only when they warn.
QUIET = ("aiohttp", "asyncio", "hpack", "httpcore", "httpx", "kubernetes", "urllib3")
#: Who may enter what, and why: heard at every level.
AUDIT = "talkdesk.audit"


def _redacted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    masked: dict[str, Any] = redact(event)
    return masked


def configure_logging(
    *,
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["json", "text"] = "json",  # noqa: A002 -- as the setting is called
    stream: TextIO | None = None,
) -> None:
    """Route structlog and the standard library to ``stream`` (default: standard error). May be repeated.

    Values whose names or shapes are a secret's are masked on the way (:mod:`talkdesk_kube.pod.redaction`).
    Tracebacks carry no local variables.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redacted,
            renderer,
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in tuple(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Whatever else is kept quiet.
    logging.getLogger(AUDIT).setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
