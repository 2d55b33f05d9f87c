"""The exported Keras scripts: run as a stranger would, their losses equal the engine's."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from demos.binary_rule import keras_script as rule_script
from demos.binary_rule import task as rule_task
from demos.binary_rule.config import PRESETS as RULE_PRESETS
from demos.binary_rule.config import BinaryRuleConfig
from demos.echo import keras_script as echo_script
from demos.echo import task as echo_task
from demos.echo.config import PRESETS as ECHO_PRESETS
from demos.echo.config import EchoConfig
from lib.settings import FED, Config

ROOT = Path(__file__).resolve().parent.parent
ECHO = {"series_length": 600, "epochs": 2, "batch_size": 4, "truncated_backprop_length": 5, "seed": 7}  # 60 steps
RULE = {"series_length": 2000, "epochs": 2, "batch_size": 20, "time_step": 4, "seed": 3}  # 50 steps


class Case(NamedTuple):
    """A run that is repeated by its script."""

    task: ModuleType
    exporter: ModuleType
    config: Any
    changes: tuple[tuple[int, str, float], ...] = ()
    step: int | None = None


def echo(changes: tuple = (), step: int | None = None, **values) -> Case:
    return Case(echo_task, echo_script, EchoConfig(**(ECHO | values)), changes, step)


def rule(changes: tuple = (), step: int | None = None, **values) -> Case:
    return Case(rule_task, rule_script, BinaryRuleConfig(**(RULE | values)), changes, step)


CASES = {
    "echo, rnn, Adagrad, both live settings": echo(
        ((20, "learning_rate", 0.02), (20, "learning_rate", 0.05), (35, "clip_norm", 0.05), (50, "clip_norm", 0.0)),
        learning_rate=0.2, seeds=2,
    ),
    "echo, lstm, Adam, stopped": echo(
        ((44, "learning_rate", 1.0),), 44,
        cell="lstm", optimizer="adam", learning_rate=0.02, clip_norm=0.05, initial_weights="glorot", echo_step=2,
    ),
    "echo, gru, momentum, a clip norm": echo(
        ((31, "learning_rate", 0.01),),
        cell="gru", optimizer="momentum", learning_rate=0.1, clip_norm=0.2, initial_weights="glorot", state_size=6,
        seeds=3,
    ),
    "rule, rnn, momentum, no state": rule(optimizer="momentum", learning_rate=0.1, carry_state=False, seeds=2),
    "rule, rnn, the tutorial's optimizer and input": rule(seeds=2),
    "rule, lstm, RMSProp, both live settings": rule(
        ((10, "clip_norm", 0.02), (27, "learning_rate", 0.005)),
        cell="lstm", optimizer="rmsprop", learning_rate=0.01, first_lag=3, second_lag=1, bit_input="scalar",
    ),
    "echo, peepholes, RMSProp": echo(
        cell="lstm_peephole", optimizer="rmsprop", learning_rate=0.02, initial_weights="glorot", echo_step=1, seeds=2,
    ),
    "echo, peepholes all positive": echo(cell="lstm_peephole", optimizer="adam", learning_rate=0.05, echo_step=1),
    "rule, coupled gates, Adam, a clip norm": rule(
        cell="lstm_coupled", optimizer="adam", learning_rate=0.05, clip_norm=0.05, seeds=2,
    ),
    "rule, gru, RMSProp of TensorFlow 1, a clip norm": rule(
        cell="gru", optimizer="rmsprop_tf1", learning_rate=0.1, clip_norm=0.05, hidden_units=3, seeds=2,
    ),
    "echo, lstm, RMSProp, overlapping windows": echo(
        cell="lstm", optimizer="rmsprop", learning_rate=0.01, initial_weights="glorot", stride=2, seeds=2, epochs=1,
    ),
    "echo, rnn, Adam, a reservoir": echo(
        optimizer="adam", learning_rate=0.05, clip_norm=0.05, initial_weights="glorot", state_size=12, trained="readout",
    ),
}  # fmt: skip


def text_of(case: Case) -> str:
    return case.exporter.script(case.config, case.changes, case.step)


# Each of the folders' scripts as `python run.py --csv losses.csv` runs it, but TensorFlow is imported once.
RUN_ALL = """
import contextlib, os, runpy, sys
folders, sys.argv = sys.argv[1:], ["run.py", "--csv", "losses.csv"]
for folder in folders:
    os.chdir(folder)
    with open("printed.txt", "w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        runpy.run_path("run.py", run_name="__main__")
"""


def run_as_strangers(cases: dict[str, Case], folder: Path) -> dict[str, tuple[str, np.ndarray]]:
    """Run the scripts in empty folders, without this project: what each prints, and the losses [n, S] that it writes."""
    folders = {name: folder / str(i) for i, name in enumerate(cases)}
    for name, own in folders.items():
        own.mkdir()
        (own / "run.py").write_text(text_of(cases[name]), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", RUN_ALL, *map(str, folders.values())]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    return {
        name: ((own / "printed.txt").read_text(), written_losses(cases[name], own / "losses.csv"))
        for name, own in folders.items()
    }


def written_losses(case: Case, file: Path) -> np.ndarray:
    """The losses [n, S] in a script's file."""
    header, *lines = file.read_text().splitlines()
    assert header == "step,seed,loss"
    rows = np.array([[float(value) for value in line.split(",")] for line in lines])
    steps, seeds = len(rows) // case.config.seeds, case.config.seeds
    first = case.config.seed
    np.testing.assert_array_equal(rows[:, 0], np.tile(np.arange(steps), seeds))
    np.testing.assert_array_equal(rows[:, 1], np.repeat(np.arange(first, first + seeds), steps))
    return rows[:, 2].reshape(seeds, steps).T


def losses_of_ours(case: Case) -> np.ndarray:
    """The engine's losses [n, S]; it is stopped at each change, as a job's chunks are."""
    engine = case.task.build(case.config)
    end = case.step or engine.steps
    live = {name: getattr(case.config, name) for name in FED}
    carry, losses = engine.initial(), []
    while carry.step < end:
        live |= {name: value for step, name, value in case.changes if step == carry.step}
        stop = min([step for step, _, _ in case.changes if step > carry.step] + [end])
        carry, metrics = engine.run(carry, min(stop, end) - carry.step, live)
        losses.append(metrics["loss"])
    return np.concatenate(losses)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future]:
    """All scripts, while our engine trains the same."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(run_as_strangers, CASES, tmp_path_factory.mktemp("scripts"))


@pytest.mark.parametrize("name", CASES)
def test_the_script_trains_as_the_engine_does(name: str, strangers: Future) -> None:
    ours = losses_of_ours(CASES[name])
    printed, theirs = strangers.result()[name]
    assert ours.shape == theirs.shape and len(ours) > 40
    assert np.ptp(ours, axis=0).min() > 0.02, "nothing happened that could differ"
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=2e-4)
    for i in range(CASES[name].config.seeds):
        line = f"seed {CASES[name].config.seed + i}: mean loss of the last 100 steps "
        mean = float(printed.partition(line)[2].split()[0])
        assert mean == pytest.approx(ours[-100:, i].mean(), abs=1e-3)


PRESETS = [
    *((echo_script, config) for config in ECHO_PRESETS.values()),
    *((rule_script, config) for config in RULE_PRESETS.values()),
    *((case.exporter, case.config) for case in CASES.values()),
]


@pytest.mark.parametrize(("exporter", "config"), PRESETS)
def test_the_text_stands_alone(exporter: ModuleType, config: Config) -> None:
    text = exporter.script(config, [[5, "learning_rate", 0.125]], 10)
    tree = compile(text, "run.py", "exec", ast.PyCF_ONLY_AST)
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        assert not isinstance(node, ast.ImportFrom)
    assert imported == {"argparse", "os", "numpy", "keras", "tensorflow"}
    assert not any(path in text for path in (str(ROOT), sys.prefix, "/home", "/tmp", "/usr"))
    assert max(len(line) for line in text.splitlines()) <= 130
    assert len(text.splitlines()) <= 170 + 25 * ("(keras.layers.Layer):" in text)  # a cell that Keras does not have
    assert "$" not in text


def test_the_top_says_what_differs_and_what_to_install() -> None:
    plain, changed = echo_script.script(EchoConfig()), echo_script.script(EchoConfig(echo_step=5, cell="gru"))
    assert "All settings are the demo's defaults." in ast.get_docstring(ast.parse(plain))
    top = ast.get_docstring(ast.parse(changed))
    assert "echo_step = 5 (not 3)" in top and "cell = gru (not rnn)" in top and "state_size" not in top
    for package in ("numpy", "tensorflow", "keras"):
        assert f'"{package}==' in top.partition("pip install")[2].splitlines()[0]
    assert "\nECHO_STEP = 5  # " in changed and "\nSTEPS = EPOCHS * WINDOWS\n" in changed


def test_only_changes_that_counted_are_in_the_script() -> None:
    changes = [[3, "learning_rate", 0.5], [3, "clip_norm", 1], [3, "learning_rate", 0.25], [9, "clip_norm", 2.0]]
    text = rule_script.script(BinaryRuleConfig(), changes, 9)
    assert 'CHANGES = {\n    3: {"learning_rate": 0.25, "clip_norm": 1.0},\n}\n' in text
    assert "\nSTEPS = 9  # " in text
    assert "\nCHANGES = {}\n" in rule_script.script(BinaryRuleConfig(), (), 9)


@pytest.mark.parametrize("step", [None, 0, EchoConfig().steps, 10**9])
def test_a_run_that_has_ended_or_not_begun_is_written_in_full(step: int | None) -> None:
    assert "\nSTEPS = EPOCHS * WINDOWS\n" in echo_script.script(EchoConfig(), (), step)
