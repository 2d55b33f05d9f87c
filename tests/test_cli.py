"""The command line, mostly as a process of its own: what it prints, where, and its exit code."""

import json
import math
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from demos import __main__ as cli
from demos.headless import next_size
from demos.registry import DEMOS, get
from lib.settings import Config, parse, setting

ROOT = Path(__file__).parent.parent
TINY = ["--set", "series_length=4500", "--set", "epochs=2"]  # 120 steps
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name not in ("TF_CPP_MIN_LOG_LEVEL", "UNROLLED_DEVICE")
}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "demos", *arguments]


def demos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m demos` with these arguments."""
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=ENVIRONMENT,
    )


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def report_of(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Standard output as exactly one JSON object."""
    report = json.loads(ran.stdout, parse_constant=no_constant)
    assert isinstance(report, dict)
    return report


# --- list and bad arguments: quick, because TensorFlow is not loaded ---


def test_list_is_a_plain_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["SLUG", "TITLE", "MINUTES"]
    assert [row.split()[0] for row in rows] == [demo.slug for demo in DEMOS]
    assert [int(row.split()[-1]) for row in rows] == [demo.minutes for demo in DEMOS]


BAD = [
    ([], "COMMAND"),
    (["train"], "invalid choice: 'train'"),
    (["list", "echo"], "unrecognized arguments: echo"),
    (["run"], "SLUG"),
    (["run", "ecko"], "ecko is not a demo: did you mean echo?"),
    (["run", "no\nsuch"], r"`no\nsuch` is not a demo"),
    (["run", "echo", "--set", "echo_step"], "write it as name=value"),
    (["run", "echo", "--set", "=3"], "write it as name=value"),
    (["run", "echo", "--set"], "expected one argument"),
    (["run", "echo", "--set", "echo_stp=3"], "did you mean echo_step?"),
    (
        ["run", "echo", "--set", "echo_step=99"],
        "echo_step = 99 is above 50: choose a whole number from 1 to 50 (steps).",
    ),
    (["run", "echo", "--set", "echo_step=3=4"], "echo_step = `3=4` cannot be read as a whole number"),
    (["run", "echo", "--set", "learning_rate=nan"], "learning_rate = nan cannot be read as a number"),
    (["run", "echo", "--set", "cell=transformer"], "choose rnn, lstm, lstm_peephole, lstm_coupled or gru"),
    (
        ["run", "echo", "--set", "series_length=100", "--set", "batch_size=64"],
        "choose a series_length of 960 or more",
    ),
    (["run", "echo", "--seed", "x"], "seed = x cannot be read as a whole number"),
    (["run", "echo", "--seed=-1"], "seed = -1 is below 0"),
    (["run", "echo", "--steps", "0"], "choose a whole number of at least 1"),
    (["run", "echo", "--steps", "1.5"], "choose a whole number of at least 1"),
    (["run", "echo", "--sed", "1"], "unrecognized arguments: --sed 1"),
    (["run", "echo", "two\nlines"], "unrecognized arguments: two lines"),
    (["run", "echo", "--model", "small"], "model = small is not a setting of this demo"),
    (["run", "echo", "--data_path", "here"], "data_dir = here is not a setting of this demo"),
    (["run", "ptb", "--model", "huge"], "model = huge is not one of the options: choose tiny, small"),
    (["run", "ptb", "--save_path=runs"], "--save_path: runs of ptb are saved by themselves"),
    (["run", "ptb", "--use_fp16"], "--use_fp16: networks are trained in float32"),
    (["run", "ptb", "--num_gpus", "2"], "--num_gpus: a run trains on one device"),
    (["run", "ptb", "--rnn_mode", "BLOCK"], "--rnn_mode: there is one way to compute the LSTM"),
    (
        ["sweep", "ptb", "--axis", "epochs=1", "--set", "data_dir=here", "--set", "corpus=grammar"],
        "data_dir = here is for corpus = ptb, and corpus is grammar",
    ),
]


def refusal_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error, with exit code 2."""
    try:
        code = cli.main(arguments)
    except SystemExit as leaving:  # argparse's way out
        code = int(leaving.code or 0)
    said = capsys.readouterr()
    assert (code, said.out, len(said.err.splitlines())) == (2, "", 1), said
    return said.err


@pytest.mark.parametrize(("arguments", "reason"), BAD, ids=[" ".join(arguments) or "nothing" for arguments, _ in BAD])
def test_a_bad_argument_is_one_line_and_exit_2(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refusal_of(arguments, capsys)


@pytest.mark.parametrize("arguments", [["list"], ["run", "echo", "--set", "echo_step=99"], ["run", "nothing"]])
def test_what_needs_no_training_loads_no_tensorflow(arguments: list[str]) -> None:
    check = "assert 'tensorflow' not in sys.modules"
    script = f"import sys\nfrom demos.__main__ import main\nmain({arguments!r})\n{check}"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_the_process_gives_the_exit_code() -> None:
    assert demos("list").returncode == 0
    refused = demos("run", "echo", "--set", "echo_step=0")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "python -m demos: echo_step = 0 is below 1: choose a whole number from 1 to 50 (steps).\n"


def test_the_last_of_repeated_settings_wins() -> None:
    options = cli.parser().parse_args(
        ["run", "echo", "--set", "seed=1", "--seed", "2", "--set", "echo_step=4", "--set", "echo_step=5"]
    )
    assert dict(options.settings) == {"seed": "2", "echo_step": "5"}


def test_the_tutorials_own_arguments_are_settings() -> None:
    arguments = ["run", "ptb", "--data_path=simple-examples/data", "--model", "small"]
    options = cli.parser().parse_args(arguments)
    assert dict(options.settings) == {"data_dir": "simple-examples/data", "model": "small"}


@pytest.mark.parametrize(
    ("slug", "settings", "said"),
    [
        ("ptb", {}, "Our grammar, 462,623 words to learn from, vocabulary 1,001"),
        ("story", {"story": "bell"}, "Belling the cat, "),
        ("from-scratch", {}, "Our fables, 400 sentences, vocabulary 500"),
        ("gates", {"task": "text"}, "Our forty fables"),
        ("gates", {}, ""),
        ("echo", {}, ""),
    ],
)
def test_a_run_says_which_text_it_learns_from(slug: str, settings: dict[str, str], said: str) -> None:
    about = parse(get(slug).config, settings).learns_from
    assert about.startswith(said) and bool(about) == bool(said)


# --- real runs ---


@pytest.fixture(scope="module")
def ran() -> subprocess.CompletedProcess[str]:
    """A run in a process of its own."""
    return demos("run", "echo", "--json", "--seed", "7", *TINY)


def test_json_is_one_object_with_what_was_reached(ran: subprocess.CompletedProcess[str]) -> None:
    assert ran.returncode == 0, ran.stderr
    report = report_of(ran)
    assert len(ran.stdout.splitlines()) == 1
    assert (report["demo"], report["seed"], report["status"], report["steps"]) == ("echo", 7, "finished", 120)
    assert report["config"] == parse(DEMOS[0].config, {"series_length": 4500, "epochs": 2, "seed": 7}).model_dump()
    assert report["seconds"] > 0
    assert report["steps_per_second"] == pytest.approx(120 / report["seconds"])
    assert isinstance(report["device"], str) and report["device"]
    assert set(report["metrics"]["loss"]) == {"last", "best", "mean_last_100"}
    assert 0 < report["metrics"]["loss"]["best"] <= report["metrics"]["loss"]["mean_last_100"] < 2
    assert report["theory"]["chance"] == pytest.approx(0.6931, abs=1e-4)
    assert 0 <= report["theory"]["floor"] < report["theory"]["chance"]


def test_progress_is_a_bar_on_standard_error_and_nothing_else_is_there(ran: subprocess.CompletedProcess[str]) -> None:
    lines = [line for line in ran.stderr.replace("\r", "\n").splitlines() if line.strip()]
    assert all(line.startswith("echo: ") for line in lines), ran.stderr
    assert "100%" in lines[-1] and "120/120" in lines[-1] and "loss=" in lines[-1]


def test_without_json_a_run_ends_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "echo", *TINY]) == 0
    said = capsys.readouterr().out
    assert "finished at step 120" in said
    assert "chance 0.6931" in said


Report = Callable[..., dict[str, Any]]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    """Run the echo demo in this process, with these arguments, and read its report."""

    def run(*arguments: str) -> dict[str, Any]:
        assert cli.main(["run", "echo", "--json", *TINY, *arguments]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out, parse_constant=no_constant)
        return found

    return run


def test_steps_ends_a_run_early_and_not_late(report: Report) -> None:
    short, long = report("--steps", "110"), report("--steps", "1000")
    assert (short["status"], short["steps"]) == ("stopped", 110)
    assert short["message"] == "stopped at step 110"
    assert (long["status"], long["steps"]) == ("finished", 120)


def test_several_seeds_report_their_median(report: Report) -> None:
    losses = sorted(report("--seed", seed)["metrics"]["loss"]["last"] for seed in "012")
    together = report("--set", "seeds=3")["metrics"]
    assert together["loss"]["last"] == pytest.approx(losses[1], rel=1e-4)
    assert together["loss_low"]["last"] <= losses[1] <= together["loss_high"]["last"]


def test_the_same_seed_gives_the_same_numbers(report: Report) -> None:
    assert report("--seed", "5")["metrics"] == report("--set", "seed=5")["metrics"]
    assert report("--seed", "5")["metrics"] != report("--seed", "6")["metrics"]


def test_a_device_that_is_not_there_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNROLLED_DEVICE", "gpu:99")
    assert cli.main(["run", "echo", *TINY]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "UNROLLED_DEVICE" in said.err.splitlines()[-1]


def test_ctrl_c_stops_cleanly_and_reports_what_was_reached() -> None:
    screen, terminal = pty.openpty()  # on a terminal the bar moves ten times a second
    termios.tcsetwinsize(terminal, (25, 100))
    process = subprocess.Popen(
        command("run", "echo", "--json", "--set", "epochs=1000"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=ENVIRONMENT,
    )
    seen = b""
    while b"loss=" not in seen and select.select([screen], [], [], 60)[0]:
        seen += os.read(screen, 1000)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    os.close(terminal)
    assert process.returncode == 130, seen
    report = json.loads(out)
    assert report["status"] == "stopped"
    assert report["message"] == f"stopped at step {report['steps']}"
    assert 0 < report["steps"] < 666_000, seen
    assert report["metrics"]["loss"]["last"] is not None
    assert b"Traceback" not in seen
    os.close(screen)


# --- runs that end badly: gradient descent on x², which runs away when the learning rate is above 1 ---


class DescentConfig(Config):
    """Where it starts and how far it moves; `breaks_at` raises at that step."""

    learning_rate: float = setting(0.1, group="A", label="Rate", help="A rate.", minimum=0, maximum=10, live=True)
    breaks_at: int = setting(0, group="A", label="Breaks at", help="A step.", minimum=0, maximum=1000)
    seed: int = setting(0, group="A", label="Seed", help="A seed.", minimum=0, maximum=9)


class DescentCarry(NamedTuple):
    step: int
    x: np.ndarray  # [seeds]


class Descent:
    """An engine with three starting points side by side."""

    steps, steps_per_epoch, seeds, device = 1000, 100, 3, "CPU"

    def __init__(self, config: DescentConfig) -> None:
        self.config = config

    def prepare(self) -> None:
        """There is nothing to compile."""

    def initial(self) -> DescentCarry:
        return DescentCarry(0, np.array([1, 2, 3], np.float32))

    def run(
        self, carry: DescentCarry, steps: int, live: Mapping[str, float]
    ) -> tuple[DescentCarry, dict[str, np.ndarray]]:
        losses = []
        for step in range(carry.step, carry.step + steps):
            if 0 < self.config.breaks_at <= step:
                raise RuntimeError(f"broken at step {step}")
            with np.errstate(over="ignore"):
                losses.append(carry.x**2)
                carry = DescentCarry(step + 1, carry.x * np.float32(1 - 2 * live["learning_rate"]))
        return carry, {"loss": np.array(losses, np.float32)}


class DescentDemo:
    """What the command line uses of a demo."""

    slug, config, build, kept = "descent", DescentConfig, Descent, False
    brought = staticmethod(dict)
    theory = SimpleNamespace(chance=lambda config: math.inf, floor=lambda config: 0.0)


@pytest.fixture
def descent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "get", lambda slug: DescentDemo())


@pytest.mark.usefixtures("descent")
def test_a_run_that_diverges_says_so_in_valid_json_and_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "descent", "--json", "--set", "learning_rate=2"]) == 1
    report = json.loads(capsys.readouterr().out, parse_constant=no_constant)
    # x starts at 2 and is tripled at each step: (2 * 3**n)**2 leaves float32 behind at n = 40
    assert (report["status"], report["steps"], report["message"]) == ("diverged", 40, "diverged at step 40")
    assert report["metrics"]["loss"]["best"] == 4.0
    assert report["metrics"]["loss"]["last"] == pytest.approx((2 * 3.0**39) ** 2, rel=1e-3)
    assert report["theory"] == {"chance": None, "floor": 0.0}


@pytest.mark.usefixtures("descent")
def test_a_run_that_fails_keeps_its_message_and_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "descent", "--json", "--set", "breaks_at=500"]) == 1
    said = capsys.readouterr()
    report = json.loads(said.out, parse_constant=no_constant)
    assert report["status"] == "failed"
    assert report["message"] == "RuntimeError: broken at step 500"
    assert report["metrics"]["loss"]["best"] is not None
    assert "RuntimeError: broken at step 500" in said.err


@pytest.mark.usefixtures("descent")
def test_a_summary_is_short_and_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "descent"]) == 0
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == "descent, seed 0: finished at step 1000"
    assert second.endswith("steps/s")
    assert rest[0].startswith("loss: last ")
    assert rest[-1] == "chance - nats, lower bound 0 nats"


@pytest.mark.usefixtures("descent")
def test_ctrl_c_is_handed_back_after_a_run() -> None:
    before = signal.getsignal(signal.SIGINT)
    cli.main(["run", "descent", "--steps", "3"])
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("done", "seconds"), [(1, 1.0), (1, 0.0), (10, 0.15), (1000, 3.0), (5, 1e9)])
def test_the_next_turn_has_at_least_one_step_and_grows_gently(done: int, seconds: float) -> None:
    assert 1 <= next_size(done, seconds) <= 8 * done


def test_hidden_output_is_shown_when_something_is_raised(capfd: pytest.CaptureFixture[str]) -> None:
    with cli.hidden_native_output():
        os.write(2, b"noise")
    assert capfd.readouterr() == ("", "")
    with pytest.raises(OSError, match="Bad file descriptor"), cli.hidden_native_output():
        os.write(os.write(1, b"why it failed") + 1000, b"there is no such file")
    assert capfd.readouterr().err == "why it failed"


def sweep(*arguments: str) -> int:
    """Run a small sweep of echo in this process."""
    return cli.main(["sweep", "echo", "--seeds", "2", "--set", "series_length=600", *arguments])


def test_a_sweep_reports_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("--axis", "echo_step=1:2", "--axis", "state_size=2,4", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["axes"] == {"echo_step": [1, 2], "state_size": [2, 4]}
    assert report["status"] == "finished" and report["config"]["epochs"] == 3
    assert [(c["echo_step"], c["state_size"]) for c in report["cells"]] == [(1, 2), (2, 2), (1, 4), (2, 4)]
    for cell in report["cells"]:
        assert len(cell["final_loss_by_seed"]) == 2
        assert cell["median_final_loss"] == pytest.approx(sum(cell["final_loss_by_seed"]) / 2)
    assert report["seconds"] > report["compile_seconds"] > 0


def test_a_sweep_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("--axis", "echo_step=1:3") == 0
    heads, values, total = capsys.readouterr().out.splitlines()
    assert heads.split() == ["echo_step", "1", "2", "3"]
    assert len(values.split()) == 3
    assert "3 of 3 cells in" in total


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--axis", "echo_step=0:3"], "echo_step = 0 is below 1"),
        (["--axis", "echo_stop=1:3"], "did you mean echo_step?"),
        (["--axis", "seeds=1:3"], "seeds cannot be an axis"),
        (["--axis", "echo_step=1", "--set", "epochs=0"], "epochs = 0 is below 1"),
        ([*(["--axis", "echo_step=1"] * 3)], "one or two axes"),
        ([], "the following arguments are required: --axis"),
    ],
)
def test_a_bad_sweep_is_refused_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal_of(["sweep", "echo", *arguments], capsys)
