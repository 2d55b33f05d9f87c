"""The log of a hosted server: one JSON object a line on standard output, without anything that people typed."""

import logging
import sqlite3
import sys
import threading
import traceback
from types import TracebackType
from typing import Any, TextIO

import sqlalchemy as sa
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

UVICORN = ("uvicorn", "uvicorn.access", "uvicorn.error")


class Formatter(JsonFormatter):
    """Of an exception it writes what kind it is and where it was raised. Its text may quote a setting or a sentence."""

    def __init__(self) -> None:
        names = {"levelname": "level", "name": "logger", "exc_info": "error"}
        hidden = [*RESERVED_ATTRS, "color_message"]
        super().__init__(["levelname", "name", "message"], rename_fields=names, reserved_attrs=hidden, timestamp="time")

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        record = logging.makeLogRecord(vars(record))  # other handlers keep theirs as it is
        record.msg = _safe(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_safe(each) for each in record.args)
        record.exc_text = None
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The chain of exceptions, the first cause first."""
        return "\n".join(_chain(ei[1])) if ei[1] is not None else ""


def _safe(part: Any) -> Any:
    if isinstance(part, BaseException):
        return _kind(part)
    if isinstance(part, str) and part.startswith("/"):  # uvicorn's, of a websocket
        return part.partition("?")[0]
    return part


def _kind(error: BaseException) -> str:
    """The system's and the database's own words tell what is wrong with a disk, and nothing of people."""
    if isinstance(error, sqlite3.Error):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, sa.exc.OperationalError):
        return f"{type(error).__name__}: {error.orig}"
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__


def _chain(error: BaseException) -> list[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [*(_chain(before) if before else []), f"{_kind(error)} at {_where(error.__traceback__)}"]


def _where(raised: TracebackType | None) -> str:
    frames = traceback.extract_tb(raised)
    return " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)) or "no line"


def begin() -> None:
    """Let everything that is logged in this process come out as JSON."""
    import streamlit.logger  # a process that trains has no use for it

    _begin(sys.stdout)
    # Streamlit gives each of its loggers, uvicorn's too, a handler of its own, also later on.
    streamlit.logger.setup_formatter = _pass_on
    for logger in (*streamlit.logger._loggers.values(), *map(logging.getLogger, UVICORN)):
        _pass_on(logger)


def begin_worker() -> None:
    """The same in a process that trains: its standard output is for whoever started it."""
    _begin(sys.stderr)


def _begin(out: TextIO) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(Formatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    threading.excepthook = _thread_ended


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    logging.getLogger(__name__).error("A thread has ended.", exc_info=args.exc_value)


def _pass_on(logger: logging.Logger) -> None:
    logger.handlers.clear()
    logger.propagate = logger.name != "uvicorn.access"  # app.traffic logs requests, and without their queries
