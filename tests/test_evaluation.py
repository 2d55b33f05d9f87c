"""Measuring on held-out data: pieces, order, precision, when it is done, and what a pause in the middle of it changes."""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.ptb.config import PTBConfig
from demos.ptb.task import PTBTask
from lib.device import choose
from lib.evaluation import FIRST_PIECE, Evaluation, Evaluations, HeldOut, Kept
from lib.job import Job, State
from lib.jobs import Jobs
from lib.store import Store
from lib.tf import tf
from lib.trainer import MEASURING
from lib.training import Carry, Engine
from tests.quadratic import QuadraticConfig
from tests.test_jobs import make as quadratic_jobs
from tests.test_jobs import wait
from tests.test_ptb_task import little_corpus, use

# A measurement whose outcome is known: each window's loss hangs on the sum of those before it.

WINDOWS = np.random.default_rng(0).random((50, 3)).astype(np.float32)
ENDS = {10: ("a",), 20: ("a", "b")}


def measure(params: Any, state: Any, window: dict[str, tf.Tensor]) -> tuple[Any, tf.Tensor, tf.Tensor]:
    total = state["sum"] + tf.reduce_sum(window["x"])
    return {"sum": total}, params["w"] * tf.sin(total), tf.reduce_sum(window["counted"])


def by_hand(count: int) -> float:
    sums = np.cumsum(WINDOWS[:count].sum(axis=1, dtype=np.float32), dtype=np.float32)
    return math.fsum(2 * np.sin(sums)) / (3 * count - 1)


def held_out(name: str) -> HeldOut:
    count = {"a": 50, "b": 1}[name]
    counted = np.ones((count, 3), np.float32)
    counted[0, 0] = 0
    return HeldOut({"x": WINDOWS[:count], "counted": counted}, {"sum": np.float32(0)})


def keep(params: Any, step: int) -> Kept:
    return Kept({}, {})


EVALUATIONS = Evaluations(lambda step: ENDS.get(step, ()), held_out, measure, "sums of sines", keep)
PARAMS = {"w": np.array(2.0, np.float32)}


@pytest.mark.parametrize("sizes", [[50], [1] * 50, [FIRST_PIECE, 16, 2, 1, 1, 26]])
def test_windows_are_read_in_order_with_the_state_carried_on_in_pieces_of_any_size(sizes: list[int]) -> None:
    evaluation = Evaluation(EVALUATIONS, "a", PARAMS, choose("cpu"))
    found = []
    for size in sizes:
        evaluation._size = size
        found.append(evaluation.piece(1.0))
    assert found[:-1] == [None] * (len(sizes) - 1)
    assert found[-1] == pytest.approx(by_hand(50), rel=1e-5)
    whole = Evaluation(EVALUATIONS, "a", PARAMS, choose("cpu"))
    whole._size = 50
    assert found[-1] == whole.piece(1.0), "bit for bit"


def test_pieces_grow_and_shrink_to_the_time_that_there_is() -> None:
    evaluation = Evaluation(EVALUATIONS, "a", PARAMS, choose("cpu"))
    evaluation.piece(1.0)  # which compiles
    evaluation._size = 2
    evaluation.piece(1000.0)
    assert evaluation._size == 8, "at most four times as many"
    evaluation.piece(1e-9)
    assert evaluation._size == 1


def test_a_single_window() -> None:
    assert Evaluation(EVALUATIONS, "b", PARAMS, choose("cpu")).piece(0.1) == pytest.approx(by_hand(1), rel=1e-5)


def test_sums_are_exact_where_single_precision_is_not() -> None:
    """A window of 1 and a million of 1e-8, added one after the other in float32, would still be 1."""
    count = 1000
    values = np.full((count, 1), 1e-8, np.float32)
    values[0] = 1

    def own(params: Any, state: Any, window: dict[str, tf.Tensor]) -> tuple[Any, tf.Tensor, tf.Tensor]:
        return state, window["x"][0], tf.constant(1.0)

    evaluations = EVALUATIONS._replace(
        data=lambda name: HeldOut({"x": values}, {"sum": np.float32(0)}), measure=own, signature="as they are"
    )
    evaluation = Evaluation(evaluations, "a", PARAMS, choose("cpu"))
    evaluation._size = count
    assert evaluation.piece(1.0) == pytest.approx((1 + 999e-8) / count, rel=1e-9)


# The engine's part, with a small language model


def config(**changes: Any) -> PTBConfig:
    sizes = {"hidden_units": 6, "embedding_units": 5, "batch_size": 4, "truncated_backprop_length": 7, "epochs": 2}
    return PTBConfig(**(sizes | {"layers": 1, "dropout": 0.2, "learning_rate": 0.02} | changes))


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.ways.MOST_WRITTEN_OUT", 0)
    monkeypatch.setattr("demos.ptb.data.TEST_WINDOW", 4)
    monkeypatch.setattr("demos.ptb.data.VALID_ROWS", 1)  # many windows, so many pieces
    use(monkeypatch, little_corpus(lengths={"train": 700, "valid": 1000, "test": 90}))


def engine_for(**changes: Any) -> Engine:
    return Engine(PTBTask(config(**changes)))


def measured(engine: Engine, carry: Carry) -> tuple[Carry, dict[str, float], int]:
    """The carry after measuring, what was found, and in how many calls."""
    for count in range(1, 10_000):
        carry, found = engine.evaluate(carry)
        if found:
            return carry, found, count
    raise AssertionError("it never ends")


def test_a_run_stops_where_it_is_to_be_measured_and_only_there() -> None:
    engine = engine_for()
    end, carry = engine.steps_per_epoch, engine.initial()
    assert not engine.evaluates(carry), "before anything is learned"
    carry, _ = engine.run(carry, end - 2)
    assert (carry.step, engine.evaluates(carry)) == (end - 2, False)
    carry, metrics = engine.run(carry, 100)
    assert (carry.step, len(metrics["loss"])) == (end, 2)
    assert engine.evaluates(carry)
    carry, found, _ = measured(engine, carry)
    assert (carry.step, carry.evaluated, engine.evaluates(carry)) == (end, end, False)
    assert set(found) == {"valid_perplexity"}, "the test text is for the end"
    carry, _ = engine.run(carry, 1000)
    assert carry.step == 2 * end == engine.steps
    carry, found, _ = measured(engine, carry)
    assert set(found) == {"valid_perplexity", "test_perplexity"}
    assert all(isinstance(value, float) and 1 < value < 60 for value in found.values())
    assert not engine.evaluates(carry)
    assert engine.run(carry, 5)[0].step == engine.steps


def test_measuring_changes_nothing_of_the_network_and_training_goes_on_as_without_it() -> None:
    engine = engine_for()
    carry, _ = engine.run(engine.initial(), 1000)
    after, _, _ = measured(engine, carry)
    for one, other in zip(tf.nest.flatten(carry[1:4]), tf.nest.flatten(after[1:4]), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(engine.run(carry, 9)[1]["loss"], engine.run(after, 9)[1]["loss"])


def test_a_checkpoint_knows_whether_it_was_measured() -> None:
    engine = engine_for()
    carry, _ = engine.run(engine.initial(), 1000)
    again = engine_for()
    restored = again.carry_from(carry.to_arrays())
    assert again.evaluates(restored)
    after, found, _ = measured(engine, carry)
    assert measured(again, restored)[1] == found
    assert not again.evaluates(again.carry_from(after.to_arrays()))
    old = {name: array for name, array in carry.to_arrays().items() if name != "evaluated"}
    assert not again.evaluates(again.carry_from(old)), "of an earlier version, which knew no measuring"


def test_a_measurement_that_was_begun_is_begun_anew_at_another_step() -> None:
    engine = engine_for()
    carry, _ = engine.run(engine.initial(), 1000)
    _, wanted, _ = measured(engine, carry)
    engine.evaluate(carry)  # and leaves it there
    later, _ = engine.run(carry._replace(evaluated=carry.step), 1000)
    _, found, _ = measured(engine, later)
    assert set(found) == {"valid_perplexity", "test_perplexity"}
    assert found["valid_perplexity"] != wanted["valid_perplexity"]
    assert measured(engine, carry)[1] == wanted


def test_a_task_without_evaluations_is_never_measured() -> None:
    task: Any = PTBTask(config())
    task.evaluations = None
    engine = Engine(task)
    assert not engine.evaluates(engine.initial()._replace(step=engine.steps_per_epoch))


# The job's part


def make(folder: Path, **options: Any) -> Jobs:
    return Jobs(
        Store(folder),
        1,
        build=lambda slug, config: Engine(PTBTask(config)),
        config_of=lambda slug: PTBConfig,
        **options,
    )


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring takes many turns, so that there is time to disturb it."""
    monkeypatch.setattr("lib.training.PIECE_SECONDS", 0.0)
    whole = Evaluation.piece

    def piece(self: Evaluation, seconds: float) -> float | None:
        time.sleep(0.02)
        return whole(self, seconds)

    monkeypatch.setattr(Evaluation, "piece", piece)


def held_out_series(job: Job) -> dict[str, tuple[list[int], list[float]]]:
    found = {name: job.stream.curve(name) for name in ("valid_perplexity", "test_perplexity")}
    return {name: (steps.tolist(), values.tolist()) for name, (steps, values) in found.items()}


@pytest.mark.usefixtures("slow")
def test_a_run_that_is_disturbed_while_it_is_measured_finds_the_same(tmp_path: Path) -> None:
    jobs = make(tmp_path)
    quiet = jobs.start("ptb", config(), "me")
    wait(lambda: not quiet.active)
    job = jobs.start("ptb", config(), "me")
    wait(lambda: job.message == MEASURING)
    jobs.pause(job.id)
    wait(lambda: not (job.busy or job.unsettled))
    assert (job.state, job.step, job.diary) == (State.PAUSED, job.steps_per_epoch, [])
    jobs.step(job.id)  # measures first, and then trains the step that was asked for
    wait(lambda: job.step == job.steps_per_epoch + 1)
    assert [note["step"] for note in job.diary] == [job.steps_per_epoch]
    jobs.resume(job.id)
    wait(lambda: job.step == job.steps and job.message == MEASURING)
    jobs.shutdown()
    again = make(tmp_path)
    restored = again.get(job.id)
    assert restored is not None
    assert (restored.state, restored.step, len(restored.diary)) == (State.PAUSED, job.steps, 1)
    again.resume(job.id)
    wait(lambda: not restored.active and not restored.busy)
    assert restored.state is State.FINISHED
    assert held_out_series(restored) == held_out_series(quiet)
    assert restored.diary == quiet.diary and len(quiet.diary) == 2
    ends = [job.steps_per_epoch, job.steps]
    assert held_out_series(quiet)["valid_perplexity"][0] == ends == again.store.network_steps(job.id)
    assert held_out_series(quiet)["test_perplexity"][0] == ends[1:]
    again.shutdown()


@pytest.mark.usefixtures("slow")
def test_a_run_can_be_stopped_while_it_is_measured(tmp_path: Path) -> None:
    jobs = make(tmp_path)
    job = jobs.start("ptb", config(), "me")
    wait(lambda: job.message == MEASURING)
    jobs.stop(job.id)
    wait(lambda: not job.busy and not job.unsettled)
    assert (job.state, job.step, job.message) == (State.STOPPED, job.steps_per_epoch, f"Stopped at step {job.step}.")
    assert job.weights() is not None
    jobs.shutdown()


def test_weights_that_are_no_numbers_end_a_run_as_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evaluation, "piece", lambda self, seconds: math.nan)
    jobs = make(tmp_path)
    job = jobs.start("ptb", config(), "me")
    wait(lambda: not job.active and not job.busy)
    assert job.state is State.DIVERGED and job.message.startswith(f"Diverged at step {job.steps_per_epoch}: ")
    jobs.shutdown()


def test_a_run_is_held_at_the_step_that_was_asked_for(tmp_path: Path) -> None:
    jobs = quadratic_jobs(tmp_path)
    job = jobs.start("quadratic", QuadraticConfig(steps=5000), "me", paused=True)
    jobs.resume(job.id, until=1234)
    wait(lambda: job.state is State.PAUSED and not job.busy and job.step > 0)
    assert job.step == 1234
    jobs.resume(job.id)
    wait(lambda: not job.active)
    assert (job.state, job.step) == (State.FINISHED, 5000)
    jobs.shutdown()


def test_a_process_that_is_killed_between_the_two_parts_of_a_checkpoint_loses_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make(tmp_path)
    job = jobs.start("ptb", config(), "me")
    wait(lambda: not (job.active or job.busy))
    before = replace(job.record(), state="running", step=0, diary=[], owner="")
    jobs.store.save(before)  # the record is older than the arrays
    jobs.shutdown()
    again = make(tmp_path)
    restored = again.get(job.id)
    assert restored is not None and restored.step == job.steps
    assert restored.diary == job.diary and len(job.diary) == 2
    again.shutdown()
