"""Runs that outlive their process: paused, killed or interrupted and gone on with, bit for bit as if they never had been.

The dashboard's side is there too: what a server sees of a run that a command line trains.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos import __main__ as cli
from demos.epochs import EpochLines
from demos.kept import COMMAND_LINE
from demos.registry import get
from lib import texts
from lib.job import Job, State
from lib.jobs import Jobs
from lib.settings import SettingError, parse
from lib.store import Store
from tests.quadratic import Engine, QuadraticConfig
from tests.test_jobs import assert_undisturbed, wait
from tests.test_jobs import make as quadratic_server

ROOT = Path(__file__).parent.parent
SERIES = ("loss", "perplexity", "gradient_norm", "learning_rate", "valid_perplexity", "test_perplexity")


def story() -> str:
    """A text of some 1,500 words, always the same."""
    rng = random.Random(0)
    animals, deeds = ["fox", "crow", "lion", "mouse", "hen", "wolf"], ["sees", "finds", "calls", "fears", "leaves"]
    return " ".join(f"the {rng.choice(animals)} {rng.choice(deeds)} the {rng.choice(animals)}." for _ in range(300))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a text in it."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNROLLED_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def settings(home: Path) -> dict[str, str]:
    """A run with random numbers and optimizer slots, and of so many epochs that it takes a few seconds."""
    return {
        "corpus": "text", "text": texts.keep(story()), "layers": "1", "hidden_units": "16", "embedding_units": "16",
        "batch_size": "2", "truncated_backprop_length": "8", "epochs": "100", "optimizer": "adam", "dropout": "0.3",
        "recurrent_dropout": "0.2", "learning_rate": "0.01",
    }  # fmt: skip


def server(folder: Path) -> Jobs:
    """The jobs of a dashboard on this folder."""
    return Jobs(
        Store(folder), 1, build=lambda slug, config: get(slug).build(config), config_of=lambda slug: get(slug).config
    )


Outcome = tuple[dict[str, Any], dict[str, np.ndarray], list[Any]]


def outcome(job: Job) -> Outcome:
    """All that a run has found: its series, its weights and its diary."""
    weights = job.weights()
    assert weights is not None and job.state is State.FINISHED, job.error
    return {name: job.stream.curve(name) for name in SERIES}, dict(weights), job.diary


def assert_equal(one: Outcome, other: Outcome) -> None:
    for name, (steps, values) in one[0].items():
        np.testing.assert_array_equal(steps, other[0][name][0], err_msg=name)
        np.testing.assert_array_equal(values, other[0][name][1], err_msg=name)
    assert set(one[1]) == set(other[1])
    for name, array in one[1].items():
        np.testing.assert_array_equal(array, other[1][name], err_msg=name)
    assert one[2] == other[2]


def ended(job: Job) -> bool:
    return not (job.active or job.busy or job.unsettled)


@pytest.fixture(scope="module")
def undisturbed(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    jobs = server(tmp_path_factory.mktemp("undisturbed"))
    job = jobs.start("ptb", parse(get("ptb").config, settings), "me")
    wait(lambda: ended(job), 120)
    jobs.shutdown()
    return outcome(job)


def test_a_run_that_is_paused_and_resumed_by_another_server_is_the_same(
    settings: dict[str, str], undisturbed: Outcome, tmp_path: Path
) -> None:
    first = server(tmp_path)
    job = first.start("ptb", parse(get("ptb").config, settings), "me")
    wait(lambda: job.step > 1.5 * job.steps_per_epoch, 60)
    first.pause(job.id)
    wait(lambda: not (job.busy or job.unsettled))
    first.resume(job.id)
    wait(lambda: job.step > 3.5 * job.steps_per_epoch, 60)
    first.shutdown()
    assert job.step < job.steps
    second = server(tmp_path)
    again = second.get(job.id)
    assert again is not None and again.step == job.step
    second.resume(job.id)
    wait(lambda: ended(again), 120)
    assert_equal(outcome(again), undisturbed)
    second.shutdown()


# With a process of its own


class CommandLine:
    """`python -m demos run ptb` with these arguments."""

    def __init__(self, home: Path, *arguments: str) -> None:
        environment = os.environ | {"UNROLLED_HOME": str(home)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demos", "run", "ptb", *arguments],
            cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Exit code, standard output and standard error, after a signal, if any."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


@pytest.fixture
def quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.shared_jobs.FOLLOW_EVERY", 0.1)


@pytest.mark.usefixtures("quick_look")
def test_a_run_that_is_killed_and_interrupted_is_the_same_and_a_server_sees_it_live(
    home: Path, settings: dict[str, str], undisturbed: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    dashboard = server(home)
    arguments = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    first = CommandLine(home, *arguments)
    wait(lambda: bool(dashboard.runs_of(COMMAND_LINE, "ptb", 9)), 60)
    (record,) = dashboard.runs_of(COMMAND_LINE, "ptb", 9)
    job = dashboard.get(record.id)
    assert job is not None and job.elsewhere

    # it is seen live, but not steered
    wait(lambda: job.state is State.RUNNING and len(job.stream.curve("valid_perplexity")[0]) > 0, 60)
    seen = job.step
    wait(lambda: job.step > seen and len(job.stream.curve("loss")[0]) > 0)
    first.process.send_signal(signal.SIGSTOP)  # or on a busy machine it might reach its end meanwhile
    dashboard.pause(job.id), dashboard.stop(job.id), dashboard.step(job.id), dashboard.resume(job.id)
    dashboard.set_live(job.id, learning_rate=1.0)
    assert job.state is State.RUNNING and job.elsewhere and job.live["learning_rate"] == 0.01
    assert cli.main(["run", "ptb", "--resume", job.id]) == 2
    assert "is being trained by another process: stop that first." in refusal(capsys)

    # killed in the middle
    first.process.send_signal(signal.SIGCONT)
    seen = job.step
    wait(lambda: job.step > seen)
    assert job.state is State.RUNNING
    first.end(signal.SIGKILL)
    wait(lambda: not job.elsewhere)
    assert (job.state, job.active, dashboard.get(job.id)) == (State.PAUSED, True, job)
    assert 0 < job.step < job.steps and job.message == f"Its process has ended, at step {job.step:,}."
    left = job.step

    # gone on with, and interrupted
    second = CommandLine(home, "--resume", job.id)
    wait(lambda: job.elsewhere and job.state is State.RUNNING and job.step > left, 60)
    code, out, err = second.end(signal.SIGINT)
    assert code == 130, err
    assert out.rstrip().endswith(f"Go on with: python -m demos run ptb --resume {job.id}")
    assert "Traceback" not in err
    wait(lambda: not job.elsewhere)
    assert job.state is State.PAUSED and left < job.step < job.steps
    assert re.search(rf"\b{job.step}\b", out), "as far as it says"

    # and to the end
    third = CommandLine(home, "--resume", job.id, "--json")
    code, out, err = third.end()
    assert code == 0, err
    report = json.loads(out)
    assert (report["run"], report["status"], report["steps"]) == (job.id, "finished", job.steps)
    wait(lambda: ended(job) and not job.elsewhere)
    assert_equal(outcome(job), undisturbed)
    assert report["metrics"]["test_perplexity"]["last"] == pytest.approx(undisturbed[0]["test_perplexity"][1][-1])
    assert dashboard.store.network_steps(job.id)[-1] == job.steps

    assert cli.main(["run", "ptb", "--resume", job.id]) == 2
    assert "has ended (finished): start a new one." in refusal(capsys)
    dashboard.shutdown()
    assert not list(home.glob("process-*.lock")), "nobody is left"


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error that says why."""
    said = capsys.readouterr()
    lines = [line for line in said.err.replace("\r", "\n").splitlines() if line.startswith("python -m demos: ")]
    assert said.out == "" and len(lines) == 1, said
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "nobody"], "The run nobody is not in"),
        (["--resume", "nobody", "--set", "epochs=3"], "leave out epochs"),
        (["--resume", "nobody", "--seed", "3"], "leave out seed"),
        (["--set", "corpus=text"], "has no text"),
        (["--set", "corpus=ptb"], "is not on this server"),
        (["--set", "data_dir=/nowhere", "--set", "corpus=ptb"], "has no ptb.train.txt"),
        (["--model", "small", "--data_path", "/nowhere"], "has no ptb.train.txt"),
        (
            ["--data_path", "/nowhere", "--set", "corpus=grammar"],
            "is for corpus = ptb, and corpus is grammar: leave it out",
        ),
    ],
)
def test_what_cannot_be_run_is_one_line_and_exit_2(
    home: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "ptb", *arguments]) == 2
    assert message in refusal(capsys)


def test_a_demo_whose_runs_are_not_kept_has_none_to_go_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "echo", "--resume", "nobody"]) == 2
    assert "is not kept by this demo" in refusal(capsys)


def test_a_run_of_another_demo_is_not_gone_on_with(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = server(home)
    job = jobs.start("echo", get("echo").config(), "me", paused=True)
    jobs.shutdown()
    assert cli.main(["run", "ptb", "--resume", job.id]) == 2
    assert "is one of echo: go on with `run echo`." in refusal(capsys)


@pytest.mark.parametrize("missing", ["ptb.train.txt", "ptb.test.txt"])
def test_a_folder_with_a_part_of_the_files_is_refused(
    home: Path, tmp_path: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in {"ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"} - {missing}:
        (tmp_path / name).write_text("too short")
    assert cli.main(["run", "ptb", "--set", f"data_dir={tmp_path}", "--set", "corpus=ptb"]) == 2
    assert "has no Penn Treebank that can be used" in refusal(capsys)


def test_a_kept_run_ends_exactly_at_the_step_that_was_asked_for(
    home: Path, settings: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    assert cli.main(["run", "ptb", *arguments, "--steps", "77", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["status"], report["steps"]) == ("stopped", 77)


def test_each_epoch_is_told_on_standard_error(
    home: Path, settings: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [part for name, value in (settings | {"epochs": "2"}).items() for part in ("--set", f"{name}={value}")]
    assert cli.main(["run", "ptb", *arguments, "--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    epochs = re.findall(
        r"Epoch: (\d)  Learning rate: (\S+)  Train perplexity: (\S+)  Valid perplexity: (\S+)  ([\d,]+) words/s\n",
        said.err,
    )
    kept = Store(home).arrays(report["run"])
    loss, rate, valid = (kept[f"stream:{name}/value"] for name in ("loss", "learning_rate", "valid_perplexity"))
    each = len(loss) // 2
    assert [epoch for epoch, *_ in epochs] == ["1", "2"]
    for epoch, (_, learning_rate, train, measured, speed) in enumerate(epochs):
        mean = loss[epoch * each : (epoch + 1) * each].mean(dtype=np.float64)
        assert float(learning_rate) == pytest.approx(rate[(epoch + 1) * each - 1], rel=1e-3)
        assert float(train) == pytest.approx(np.exp(mean), abs=0.01)
        assert float(measured) == pytest.approx(valid[epoch - 2], abs=0.01)
        assert float(speed.replace(",", "")) > 0
    assert f"Test perplexity: {report['metrics']['test_perplexity']['last']:.2f}\n" in said.err
    assert said.err.index("Corpus: Your own text, ") < said.err.index("Epoch: 1")
    assert f"\ncorpus: {report['corpus']}\n" in cli.summary(report)


def test_only_new_epochs_are_told_and_a_replay_has_no_speed(home: Path, settings: dict[str, str]) -> None:
    config = parse(get("ptb").config, settings)
    for run in (config, parse(get("ptb").config, {"model": "small-recorded"})):
        job, told = Job("ptb", run, "me"), list[str]()
        per_epoch = job.steps_per_epoch
        speed = "" if run.recorded else f"  {per_epoch * run.words_per_step / 2:,.0f} words/s"
        note = {"perplexity": 30.0, "learning_rate": 0.5, "valid_perplexity": 40.0}
        job.step, job.seconds, job.diary = per_epoch, 9.0, [{"step": per_epoch, **note}]
        lines = EpochLines(told.append, resumed=True)
        lines.look(job)
        job.step, job.seconds = 2 * per_epoch, 11.0
        lines.look(job)
        job.seconds, early = 14.0, {"step": 2 * per_epoch - 1, **note}  # it measured: no step was trained
        job.diary = [*job.diary, early, {"step": 2 * per_epoch, **note, "test_perplexity": 35.0}]
        lines.look(job)
        lines.look(job)
        assert told == [
            f"Corpus: {run.learns_from}",
            f"Epoch: 2  Learning rate: 0.5  Train perplexity: 30.00  Valid perplexity: 40.00{speed}",
            "Test perplexity: 35.00",
        ]


def test_a_folder_with_the_treebank_means_that_it_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr("lib.corpora.take_folder", taken.append)
    brought = get("ptb").brought
    assert brought({"data_dir": "here", "model": "small"}) == {"model": "small", "corpus": "ptb"}
    assert brought({"data_dir": "here", "corpus": "PTB"}) == {"corpus": "PTB"}
    assert brought({"model": "small"}) == {"model": "small"}
    with pytest.raises(SettingError, match="is for corpus = ptb, and corpus is grammar"):
        brought({"data_dir": "there", "corpus": "grammar"})
    assert taken == ["here", "here"]


def test_a_run_goes_on_after_its_corpus_was_brought(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lib.corpora.take_folder", lambda folder: None)
    monkeypatch.setattr("demos.ptb.data.missing", lambda name, text: None)
    assert cli.main(["run", "ptb", "--resume", "nobody", "--data_path", "here"]) == 2
    assert "The run nobody is not in" in refusal(capsys)


# Several processes' jobs on one folder, in this process and with the NumPy engine


def command_line(folder: Path) -> Jobs:
    return Jobs(
        Store(folder),
        1,
        build=lambda slug, config: Engine(config),
        config_of=lambda slug: QuadraticConfig,
        alone=False,
        publishes=True,
    )


@pytest.mark.usefixtures("quick_look")
def test_a_server_follows_a_run_elsewhere_to_its_end(tmp_path: Path) -> None:
    dashboard, other = quadratic_server(tmp_path), command_line(tmp_path)
    theirs = other.start("quadratic", QuadraticConfig(steps=3000, nap=0.0005), COMMAND_LINE)
    job = dashboard.get(theirs.id)
    assert job is not None and job is not theirs
    wait(lambda: job.state is State.RUNNING and job.step > 100)
    version = job.version
    dashboard.pause(job.id), dashboard.stop(job.id)
    wait(lambda: job.version > version and job.step > 500)
    assert theirs.state is State.RUNNING and job.steps_per_second is not None
    wait(lambda: ended(theirs))
    wait(lambda: not job.elsewhere)
    assert job.state is State.FINISHED and dashboard.get(job.id) is job
    assert dashboard.store.published(job.id) == {}, "all of it is in the run's own file now"
    assert_undisturbed(job, 3000)
    assert job.weights() is not None
    other.shutdown()
    dashboard.shutdown()


@pytest.mark.usefixtures("quick_look")
def test_a_run_that_was_left_can_go_on_in_the_server_and_then_nowhere_else(tmp_path: Path) -> None:
    dashboard, other = quadratic_server(tmp_path), command_line(tmp_path)
    theirs = other.start("quadratic", QuadraticConfig(steps=3000, nap=0.0005), COMMAND_LINE)
    job = dashboard.get(theirs.id)
    assert job is not None
    wait(lambda: job.step > 100)
    other.shutdown()
    wait(lambda: not job.elsewhere)
    assert (job.state, job.step) == (State.PAUSED, theirs.step)
    third = command_line(tmp_path)
    dashboard.resume(job.id)
    with pytest.raises(ValueError, match="is being trained by another process"):
        third.take_up(job.id)
    wait(lambda: ended(job))
    assert_undisturbed(job, 3000)
    with pytest.raises(ValueError, match="not in"):
        third.take_up("nobody")
    third.shutdown()
    dashboard.shutdown()


@pytest.mark.usefixtures("quick_look")
def test_of_two_that_take_up_a_run_one_gets_it_and_the_server_notices(tmp_path: Path) -> None:
    first = quadratic_server(tmp_path)
    job = first.start("quadratic", QuadraticConfig(steps=4000, nap=0.0005), "me")
    wait(lambda: job.step > 100)
    first.shutdown()
    dashboard, one, two = quadratic_server(tmp_path), command_line(tmp_path), command_line(tmp_path)
    seen, theirs, stale = dashboard.get(job.id), one.get(job.id), two.get(job.id)
    assert seen is not None and theirs is not None and stale is not None
    assert (seen.state, seen.elsewhere) == (State.PAUSED, False), "a server that was restarted lets others have it"
    one.take_up(job.id)
    one.resume(job.id)
    with pytest.raises(ValueError, match="is being trained by another process"):
        two.take_up(job.id)
    two.resume(job.id), two.stop(job.id)
    wait(lambda: seen.elsewhere and seen.step > job.step)
    dashboard.resume(job.id), dashboard.stop(job.id)
    wait(lambda: ended(theirs))
    assert_undisturbed(theirs, 4000)
    wait(lambda: seen.state is State.FINISHED)
    for jobs in (one, two, dashboard):
        jobs.shutdown()


def test_a_server_that_ends_leaves_runs_elsewhere_as_they_are(tmp_path: Path) -> None:
    other = command_line(tmp_path)
    theirs = other.start("quadratic", QuadraticConfig(steps=10**6, nap=0.0005), COMMAND_LINE)
    wait(lambda: theirs.step > 100)
    other.pause(theirs.id)
    wait(lambda: not (theirs.busy or theirs.unsettled))
    dashboard = quadratic_server(tmp_path)
    assert dashboard._jobs == {}, "what others have is read when somebody looks at it"
    assert dashboard.get(theirs.id) is not None
    other.resume(theirs.id)
    wait(lambda: theirs.step > 500)
    other.shutdown()
    dashboard.shutdown()
    again = quadratic_server(tmp_path)
    assert again._jobs == {}, "and so is what others have left"
    job = again.get(theirs.id)
    assert job is not None and job.step == theirs.step
    assert_undisturbed(job, theirs.step)
    again.shutdown()


def test_runs_of_a_crowd_are_published_less_often_and_cells_of_sweeps_never(tmp_path: Path) -> None:
    other, published = command_line(tmp_path), []
    other.store.publish = lambda record, stream: published.append(record.id)  # type: ignore[method-assign]
    job, cell = (
        other.start("quadratic", QuadraticConfig(steps=10**6), "me", sweep=sweep, paused=True) for sweep in ("", "s")
    )
    wait(lambda: all(each.state is State.PAUSED and not each.busy and not each.waiting for each in (job, cell)))
    assert set(published) == {job.id}
    published.clear()
    for seconds, people in ((2.0, 50), (6.0, 50), (1.5, 1), (0.5, 1)):
        job.published_at, job.people = time.monotonic() - seconds, people
        other._trainer.turn(job)
        published.append("")
    assert published == ["", job.id, "", job.id, "", ""]
    other.shutdown()


def test_a_command_line_lets_unfinished_runs_of_a_server_be(tmp_path: Path) -> None:
    dashboard = quadratic_server(tmp_path)
    job = dashboard.start("quadratic", QuadraticConfig(steps=10**6), "me")
    wait(lambda: job.step > 100)
    other = command_line(tmp_path)
    assert other._jobs == {}
    other.shutdown()
    assert job.state is State.RUNNING
    dashboard.shutdown()


@pytest.mark.usefixtures("quick_look")
def test_a_damaged_stream_of_another_process_is_no_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    owner = store.claim()
    dashboard = quadratic_server(tmp_path)
    mine = dashboard.start("quadratic", QuadraticConfig(), "me")
    wait(lambda: ended(mine))
    record = replace(mine.record(), id="theirs", owner=owner, state="running", step=5)
    store.publish(record, mine.stream.arrays())
    (tmp_path / "runs" / "theirs~.npz").write_bytes(b"nonsense")
    job = dashboard.get("theirs")
    assert job is not None and job.elsewhere
    store.publish(replace(record, step=6), mine.stream.arrays())
    wait(lambda: job.step == 6 and len(job.stream.curve("loss")[0]) == 200)
    job.seen_at -= 61.0
    wait(lambda: "theirs" not in dashboard._jobs)
    again = dashboard.get("theirs")
    assert again is not None and again is not job
    wait(lambda: again.step == 6)
    dashboard.shutdown()
    store.close()
