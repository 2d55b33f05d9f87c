"""Recorded runs: what is written is read again, and the shipped ones replay as they were."""

import json
from pathlib import Path

import numpy as np
import pytest

from demos.ptb import data, theory
from demos.ptb.config import PTBConfig
from demos.ptb.models import REPLAYED
from demos.registry import get
from lib.jobs import Jobs
from lib.recorded import Recording, Replay
from lib.settings import SettingError, clamp, parse
from lib.store import Store
from tests.test_jobs import wait

SHIPPED = sorted(path.stem for path in data.RECORDINGS.glob("*.json"))


@pytest.fixture(autouse=True)
def without_the_corpus(monkeypatch, tmp_path: Path) -> None:
    """A machine that has never seen the Penn Treebank."""
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    metrics = {"loss": np.array([2.0, 1.5, 1.25], np.float32), "gradient_norm": np.array([4.0, 3.0, 2.0], np.float32)}
    diary = [{"step": 3, "valid_perplexity": 4.5, "samples": [{"prompt": "a", "temperature": 0.3, "text": "b c"}]}]
    saved = Recording("2 cores", "2026-01-02", 12.5, {"epochs": 1}, diary, {"steps": 3}, metrics)
    saved.save(tmp_path / "one")
    again = Recording.load(tmp_path / "one")
    assert again._replace(metrics={}) == saved._replace(metrics={})
    for name, values in metrics.items():
        np.testing.assert_array_equal(again.metrics[name], values)


def test_a_replay_ends_each_turn_where_it_was_measured() -> None:
    losses = np.arange(10, dtype=np.float32)[:, None]
    recording = Recording("m", "d", 1.0, {}, [{"step": 4, "valid_perplexity": 7.0, "epoch": 1}], {}, {})
    engine = Replay(None, recording, {"loss": losses}, 4)
    place, metrics = engine.run(engine.initial(), 9)
    assert place.step == 4 and metrics["loss"][:, 0].tolist() == [0, 1, 2, 3]
    assert engine.evaluates(place)
    place, found = engine.evaluate(place)
    assert found == {"valid_perplexity": 7.0} and not engine.evaluates(place)
    assert engine.keep(place).note == {"valid_perplexity": 7.0, "epoch": 1}
    place, metrics = engine.run(place, 99)
    assert place.step == 10 == engine.steps and len(metrics["loss"]) == 6
    assert engine.carry_from(place.to_arrays()) == place
    with pytest.raises(ValueError, match="no weights"):
        engine.initial({"cell": {}})


def test_every_replay_that_is_offered_is_shipped() -> None:
    assert sorted(REPLAYED.values()) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_run_replays_without_the_corpus(name: str, tmp_path: Path) -> None:
    demo, config = get("ptb"), parse(PTBConfig, {"model": f"{name}-recorded"})
    jobs = Jobs(
        Store(tmp_path / "data"), build=lambda slug, config: get(slug).build(config), config_of=lambda s: PTBConfig
    )
    job = jobs.start("ptb", config, "me")
    wait(lambda: not job.active)
    jobs.shutdown()
    told = json.loads((data.RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
    assert (str(job.state), job.step) == ("finished", told["summary"]["steps"])
    summary, last = job.stream.summary(), told["diary"][-1]
    assert summary["test_perplexity"]["last"] == pytest.approx(last["test_perplexity"], rel=1e-5)
    assert summary["valid_perplexity"]["last"] == pytest.approx(last["valid_perplexity"], rel=1e-5)
    assert [note["step"] for note in job.diary] == [note["step"] for note in told["diary"]]
    assert all(note["samples"] for note in job.diary)
    assert told["date"] in job.device and told["machine"] in job.device
    epoch = np.exp(Recording.load(data.RECORDINGS / name).metrics["loss"][-config.windows_per_epoch :].mean())
    assert summary["perplexity"]["last"] == pytest.approx(epoch, rel=1e-3)
    figure = demo.figures.perplexity_figure(config)
    assert figure["data"] and theory.counting("ptb", "").bigram == pytest.approx(201.48, abs=0.01)


@pytest.mark.parametrize(
    "other", [{"seed": "3"}, {"corpus": "grammar"}, {"learning_rate": "0.1"}, {"hidden_units": "9"}]
)
def test_a_replay_has_no_settings_of_its_own(other: dict[str, str]) -> None:
    replayed = {"model": "small-recorded"}
    with pytest.raises(SettingError, match="choose the model “Small, as published”"):
        parse(PTBConfig, replayed | other)
    config, notes = clamp(PTBConfig, replayed | other)
    assert config == parse(PTBConfig, replayed) and notes


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_run_has_the_settings_that_are_offered(name: str) -> None:
    config = json.loads((data.RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))["config"]
    assert PTBConfig(**config | {"model": f"{name}-recorded"}) == parse(PTBConfig, {"model": f"{name}-recorded"})


def test_the_small_run_reached_the_publication() -> None:
    last = json.loads((data.RECORDINGS / "small.json").read_text(encoding="utf-8"))["diary"][-1]
    published = theory.PUBLISHED["small"]
    assert last["epoch"] == 13
    assert last["valid_perplexity"] <= published.valid and last["test_perplexity"] <= published.test
