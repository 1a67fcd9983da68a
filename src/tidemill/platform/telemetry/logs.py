"""Structured logs: one event a line, with the request it belongs to; secrets and prompts never reach them."""

import contextvars
import logging
import re
import sys
from collections.abc import MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import msgspec
import structlog

request_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)
user_id: contextvars.ContextVar[int | None] = contextvars.ContextVar("user_id", default=None)

# Libraries whose info lines tell an operator nothing that ours do not.
_CHATTY = ("alembic", "uvicorn", "asyncio", "aiohttp")

MAX_LOG_BYTES = 50 * 1024 * 1024
KEPT_LOG_FILES = 5

_SECRET_NAME = re.compile(r"(password|secret|token|api_key|authorization|cookie)$", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"sk-[A-Za-z0-9_-]{8,}|eyJ[\w-]+\.[\w-]+\.[\w-]+")

_Event = MutableMapping[str, Any]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; an event is a dotted name (``task.failed``) with fields, not a sentence."""
    return structlog.get_logger(name)


def configure_logs(level: str = "info", form: str = "auto", file: str | None = None) -> None:
    """Send logs to stderr, or to a rotating ``file``.

    ``form`` is json, text, or auto (text on a terminal). Safe to call again when the level changes at run time.
    """
    stream: TextIO = sys.stderr
    handler: logging.Handler
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(file, maxBytes=MAX_LOG_BYTES, backupCount=KEPT_LOG_FILES, encoding="utf-8")
    else:
        handler = logging.StreamHandler(stream)
    as_text = form == "text" or (form == "auto" and not file and stream.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer(serializer=_json)
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _add_request,
        structlog.processors.format_exc_info,
        _mask,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(root.level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _add_request(_logger: Any, _method: str, event: _Event) -> _Event:
    if (identifier := request_id.get()) is not None:
        event.setdefault("request_id", identifier)
    if (user := user_id.get()) is not None:
        event.setdefault("user_id", user)
    return event


def _mask(_logger: Any, _method: str, event: _Event) -> _Event:
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = _SECRET_TEXT.sub("***", value)
    return event
