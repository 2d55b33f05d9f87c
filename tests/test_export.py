"""A run as CSV, JSON and TensorBoard's event file."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from demos.echo import theory
from demos.echo.config import EchoConfig
from lib import export
from lib.job import Job, State
from lib.tf import tf


@pytest.fixture
def job() -> Job:
    """A stopped run of three seeds with two metrics, of which one value is not a number."""
    job = Job("echo", EchoConfig(seeds=3, epochs=2), "me", run_id="the-run")
    loss = np.linspace(0.7, 0.1, 60, dtype=np.float32).reshape(20, 3)
    accuracy = np.full((20, 3), 0.5, np.float32)
    accuracy[4] = np.nan
    job.stream.record(0, {"loss": loss, "accuracy": accuracy})
    job.step, job.state, job.changes = 20, State.STOPPED, [[5, "learning_rate", 0.1]]
    return job


def test_csv_has_every_measured_series_and_step(job: Job) -> None:
    rows = list(csv.DictReader(io.StringIO(export.as_csv(job))))
    assert [int(row["step"]) for row in rows] == list(range(20))
    assert set(rows[0]) == {"step", *(f"{m}{part}" for m in ("loss", "accuracy") for part in ("", "_low", "_high"))}
    _, losses = job.stream.curve("loss")
    assert [float(row["loss"]) for row in rows] == pytest.approx(losses.tolist())
    assert rows[4]["accuracy"] == ""


def test_json_has_settings_seed_metrics_and_versions(job: Job) -> None:
    content = json.loads(export.as_json(job, "my best", theory))
    assert content["name"] == "my best" and content["demo"] == "echo" and content["seed"] == 0
    assert EchoConfig(**content["config"]) == job.config
    assert content["changes"] == [[5, "learning_rate", 0.1]]
    assert content["metrics"]["loss"]["last"] == pytest.approx(job.stream.summary()["loss"]["last"])
    assert len(content["final_loss_by_seed"]) == 3
    assert len(content["series"]["loss"]) == 20 and len(content["series"]["accuracy"]) == 19
    assert content["versions"]["tensorflow"] == tf.__version__
    assert content["theory"]["chance"] == pytest.approx(np.log(2))


def tensorboard(job: Job) -> bytes:
    return export.as_tensorboard(export.series_of(job), job.created)


def test_tensorboard_reads_the_event_file(job: Job, tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1").write_bytes(tensorboard(job))
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(tmp_path / "events.out.tfevents.1")):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    assert [step for step, _ in found["loss"]] == list(range(20))
    assert [value for _, value in found["loss"]] == pytest.approx(job.stream.curve("loss")[1].tolist())


def test_a_run_without_a_step_exports_nothing_but_says_so() -> None:
    job = Job("echo", EchoConfig(), "me")
    assert export.as_csv(job) == "step\n"
    assert json.loads(export.as_json(job, "", theory))["series"] == {}
    assert tensorboard(job)
