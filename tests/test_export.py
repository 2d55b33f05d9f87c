"""A run as CSV, JSON and TensorBoard's event file."""

import csv
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.echo import theory
from demos.echo.config import EchoConfig
from demos.registry import DEMOS, Demo, build, get
from lib import export
from lib.job import Job, State
from lib.settings import Config, parse
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
    return export.as_tensorboard(export.series_of(job), job.created, partial(build, job.slug, job.config))


def events(content: bytes, folder: Path) -> list[Any]:
    """The events of a file, as TensorFlow reads them."""
    path = folder / "events.out.tfevents.1"
    path.write_bytes(content)
    return list(tf.compat.v1.train.summary_iterator(str(path)))


def graph_of(config: Config, slug: str, folder: Path) -> Any:
    """The one graph in the event file of a run of these settings."""
    (graph,) = [e.graph_def for e in events(tensorboard(Job(slug, config, "me")), folder) if e.graph_def]
    return tf.compat.v1.GraphDef.FromString(graph)


def test_tensorboard_reads_the_event_file(job: Job, tmp_path: Path) -> None:
    found = {}
    for event in events(tensorboard(job), tmp_path):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    assert [step for step, _ in found["loss"]] == list(range(20))
    assert [value for _, value in found["loss"]] == pytest.approx(job.stream.curve("loss")[1].tolist())


# Small ones, with what each computes its cell and its output by: products of narrow layers are written as Mul and Sum.
GRAPHS = {
    "echo": ({"stride": 5}, {"Mul", "Sum", "Tanh"}),
    "binary-rule": ({"hidden_units": 40, "batch_size": 20}, {"BatchMatMulV2", "Tanh"}),
    "gates": ({"hidden_units": 4}, {"Mul", "Sigmoid", "Tanh"}),
    "story": ({"hidden_units": 8}, {"MatMul", "Sigmoid", "Tanh"}),
    "ptb": ({"hidden_units": 8, "embedding_units": 4}, {"MatMul", "Sigmoid", "Tanh", "GatherV2"}),
    "from-scratch": ({"hidden_units": 8, "sentences": 10}, {"MatMul", "Tanh", "GatherV2"}),
}


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_the_graph_of_every_demos_training_step_is_in_the_event_file(demo: Demo, tmp_path: Path) -> None:
    settings, expected = GRAPHS[demo.slug]
    graph = graph_of(demo.config(**settings), demo.slug, tmp_path)
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert expected <= {node.op for node in nodes}
    scopes = {node.name.split("/")[0] for node in graph.node}
    assert {"parameters", "data", "settings", "window", "forward", "gradient", "clipping", "optimizer"} <= scopes
    parts = {node.name.split("/")[1] for node in graph.node if node.name.startswith("forward/")}
    assert {"cell", "layer_0"} & parts and "output" in parts
    assert 100 < len(nodes) < 6_000 and graph.ByteSize() < 1_000_000
    assert [node.name for node in graph.node if _constants_of(node) & _depending_on(graph, {"place", "step"})] == []


def _constants_of(node: Any) -> set[str]:
    """The inputs of a node that XLA must know when it compiles: it compiles anew wherever they are others."""
    first = {"Slice": 1, "StridedSlice": 1, "Reshape": 1, "Fill": 0, "Range": 0, "Tile": 1}
    names = node.input[first[node.op] : 1 if node.op == "Fill" else None] if node.op in first else ()
    return {name.split(":")[0] for name in names}


def _depending_on(graph: Any, names: set[str]) -> set[str]:
    """The nodes with these names, and all that are computed from them; a graph has its nodes in the order of computing."""
    found = set(names)
    for node in graph.node:
        if found & {name.split(":")[0] for name in node.input}:
            found.add(node.name)
    return found


def test_the_longest_window_that_is_written_out_stays_a_graph_that_one_can_open(tmp_path: Path) -> None:
    config = EchoConfig(truncated_backprop_length=50, state_size=6)
    graph = graph_of(config, "echo", tmp_path)
    assert {f"forward/cell/step_{step}/Tanh" for step in range(50)} <= {node.name for node in graph.node}
    assert len(graph.node) < 6_000 and graph.ByteSize() < 1_000_000


def test_the_graph_computes_the_training_step(tmp_path: Path) -> None:
    """Loaded and run, it gives the losses and the weights that the engine has after its first step."""
    config = EchoConfig(optimizer="sgd", learning_rate=0.5)
    engine = build("echo", config)
    start = engine.initial()
    after, metrics = engine.run(start, 1)
    graph = graph_of(config, "echo", tmp_path)
    with tf.Graph().as_default() as loaded, tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        trees = {"parameters": start.params, "state": start.state._asdict(), "data": engine.task.block(0)}
        feeds = {f"{tree}/{name}:0": array for tree, parts in trees.items() for name, array in _by_path(parts)}
        feeds |= {"settings/learning_rate:0": 0.5, "settings/clip_norm:0": 0.0, "place:0": 0, "step:0": 1}
        updates = [
            op.outputs[0] for op in loaded.get_operations() if op.type == "Sub" and op.name.startswith("optimizer/")
        ]
        loss, *weights = session.run([loaded.get_tensor_by_name("forward/Mean:0"), *updates], feeds)
    np.testing.assert_allclose(loss, metrics["loss"][0], rtol=1e-5)
    expected = [leaf for _, leaf in _by_path(after.params)]
    assert len(weights) == len(expected)
    for found, leaf in zip(weights, expected, strict=True):
        np.testing.assert_allclose(found, leaf, rtol=1e-4, atol=1e-6)


def _by_path(tree: Any, path: str = "") -> list[tuple[str, np.ndarray]]:
    """The arrays of nested dicts with their names, in the order of TensorFlow's `nest`."""
    if not isinstance(tree, dict):
        return [(path, tree)]
    return [pair for key in sorted(tree) for pair in _by_path(tree[key], f"{path}/{key}".lstrip("/"))]


def test_a_replay_trains_nothing_so_its_event_file_has_no_graph(tmp_path: Path) -> None:
    job = Job("ptb", parse(get("ptb").config, {"model": "small-recorded"}), "me")
    assert [event.graph_def for event in events(tensorboard(job), tmp_path)] == [b""]


def test_a_run_without_a_step_exports_nothing_but_says_so() -> None:
    job = Job("echo", EchoConfig(), "me")
    assert export.as_csv(job) == "step\n"
    assert json.loads(export.as_json(job, "", theory))["series"] == {}
    assert tensorboard(job)
