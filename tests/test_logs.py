"""The log of a hosted server: JSON, and nothing that people typed."""

import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from app import frames
from app.logs import Formatter
from demos.registry import get
from lib.jobs import Jobs
from lib.store import Store
from tests.test_pages import wait_until

TYPED = "my-secret-nickname"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What all loggers of this process write."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(Formatter())
    logging.getLogger().addHandler(handler)
    yield text
    logging.getLogger().removeHandler(handler)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def failing(slug: str, config: Any) -> Any:
    try:
        raise KeyError(TYPED)
    except KeyError as error:
        raise ValueError(f"{TYPED} cannot be learned") from error


def test_a_line_says_when_how_grave_and_where(log: io.StringIO) -> None:
    logging.getLogger("here").warning("%d of %s", 3, "five", extra={"path": "/echo"})
    (line,) = lines(log)
    assert line | {"time": ""} == {
        "level": "WARNING",
        "logger": "here",
        "message": "3 of five",
        "path": "/echo",
        "time": "",
    }
    assert line["time"].endswith("+00:00")


def test_a_failing_run_tells_its_kind_and_place_but_no_text(log: io.StringIO, tmp_path: Path) -> None:
    jobs = Jobs(Store(tmp_path), workers=1, build=failing, config_of=lambda slug: get(slug).config)
    job = jobs.start("echo", get("echo").config(), "visitor")
    wait_until(lambda: not job.active)
    jobs.store.rename(job.id, TYPED)
    jobs.store.save(replace(job.record(), id="broken", state=TYPED, config={"epochs": TYPED}))
    assert jobs.get("broken") is None
    jobs.shutdown()
    failed, broken = lines(log)
    assert TYPED in job.error, "its visitor is told"
    assert failed["error"].splitlines()[0].startswith("KeyError at ")
    assert "ValueError at " in failed["error"] and "test_logs.py" in failed["error"]
    assert broken["message"].startswith("run broken cannot be restored: ")
    assert TYPED not in log.getvalue()


def test_a_picture_that_fails_and_a_warning_quote_nothing(log: io.StringIO) -> None:
    frames._complain.cache_clear()
    frames._tried(get("echo"), "batch", failing, "echo", None)
    assert "batch failed: ValueError" in lines(log)[0]["message"]
    assert TYPED not in log.getvalue()


def test_queries_of_addresses_are_left_out(log: io.StringIO) -> None:
    logging.getLogger("here").error('%s - "WebSocket %s" [accepted]', ("::1", 5), f"/_stcore/stream?text={TYPED}")
    assert lines(log)[0]["message"].endswith('"WebSocket /_stcore/stream" [accepted]')


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", TYPED), "OSError: No space left on device"),
        (sqlite3.OperationalError("database is locked"), "OperationalError: database is locked"),
        (
            sqlalchemy.exc.OperationalError(TYPED, {"name": TYPED}, Exception("it is away")),
            "OperationalError: it is away",
        ),
        (RuntimeError(TYPED), "RuntimeError"),
    ],
)
def test_what_the_disk_says_is_told(log: io.StringIO, error: Exception, told: str) -> None:
    logging.getLogger("here").error("it failed: %s", error)
    logging.getLogger("here").error(error)
    assert [line["message"] for line in lines(log)] == [f"it failed: {told}", told]


def test_an_ordinary_handler_beside_it_sees_the_whole_record(
    log: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("here").error("it failed: %s", RuntimeError("all of it"))
    assert "all of it" in caplog.text
