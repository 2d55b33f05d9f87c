"""Workers on a Ray cluster: one on each node with all of its cores and GPUs, so that what it has compiled serves all runs.

They are detached, named actors: they go on when a web server ends, and every web server of the cluster finds the same ones.
Ray is an optional extra (requirements-ray.txt), and is imported only here.
"""

import logging
import os
import pickle
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lib.fleet import Link
from lib.worker import Worker, WorkerGoneError, answer
from lib.worker_process import Setup, begin_worker

LOG = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "unrolled"
CALLS_AT_ONCE = 64
CALL_SECONDS = 60.0  # that a question may take: a node that has gone without a word is noticed by Ray before
LOOK_SECONDS = 0.5
LOCAL = "local"
LEFT_OUT = [".venv", ".git", "**/__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"]
PASSED_ON = ("UNROLLED_", "TF_", "XLA_")  # variables that a worker needs as well
SECRET = ("UNROLLED_HOST_CODE", "UNROLLED_STORE")  # of these: Ray keeps and shows what is passed on


class RayWorker:
    """The actor. It begins its jobs at the first question, so that what is wrong then reaches the one who asks."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def call(self, name: str, arguments: Any, named: Any) -> bytes:
        """What the worker's method `name` returns or raises (see `answer`)."""
        return answer(self._begun, name, arguments, named)

    def _begun(self) -> Worker:
        with self._lock:
            if self._worker is None:
                if isinstance(self._setup.place, str):
                    os.environ["UNROLLED_STORE"] = self._setup.place  # texts are there too (lib.texts)
                self._worker = begin_worker(self._setup, alone=False)
            return self._worker


def _end_with(raylet: int) -> None:
    """End when the node's own process has ended: then nobody reaches this one any more, and its runs go on elsewhere."""
    while os.getppid() == raylet:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


class RayLink:
    """The way to the worker of a node."""

    def __init__(self, actor: Any, node: dict[str, Any]) -> None:
        self._actor, self._id = actor, actor._actor_id.hex()
        self.name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        self.cores, self.gpus = node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0)

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """What the worker's method `name` returns or raises. Raises WorkerGoneError when it cannot be reached."""
        try:
            found: bytes = ray.get(self._actor.call.remote(name, arguments, named), timeout=CALL_SECONDS)
        except GetTimeoutError as error:
            raise WorkerGoneError(f"The worker on {self.name} did not answer within {CALL_SECONDS:.0f} s.") from error
        except RayError as error:
            raise WorkerGoneError(f"The worker on {self.name} has gone.") from error
        good, result = pickle.loads(found)
        if not good:
            raise result
        return result

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RayLink) and other._id == self._id

    def __hash__(self) -> int:
        return hash(self._id)


class RayFleet:
    """A worker on every node of a cluster, or of one that is started here and ends with this process."""

    def __init__(self, setup: Setup, address: str = LOCAL) -> None:
        """`address` is that of a cluster ("10.0.0.5:6379", or "auto" for one on this machine), or "local"."""
        self.outlives = address != LOCAL
        self._setup = replace(setup, key=b"")
        environment = {"working_dir": str(ROOT), "excludes": LEFT_OUT, "env_vars": _variables(setup.place)}
        common: dict[str, Any] = {
            "namespace": NAMESPACE,
            "runtime_env": environment,
            "log_to_driver": False,
            "logging_level": logging.WARNING,
        }
        if self.outlives:
            ray.init(address=address, **common)
        else:
            ray.init(address=LOCAL, include_dashboard=False, _node_ip_address="127.0.0.1", **common)

    def links(self) -> list[Link]:
        return [RayLink(self._worker(node), node) for node in ray.nodes() if node["Alive"] and _cores(node) >= 1]

    def _worker(self, node: dict[str, Any]) -> Any:
        """The worker of a node, which is begun where there is none."""
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        actor: Any = (
            ray.remote(RayWorker)
            .options(
                name=f"worker-{node['NodeID']}", lifetime="detached", get_if_exists=True, scheduling_strategy=there,
                num_cpus=_cores(node), num_gpus=node["Resources"].get("GPU", 0.0), max_concurrency=CALLS_AT_ONCE,
            )
            .remote(replace(self._setup, workers=max(1, _cores(node) // 2)))
        )  # fmt: skip
        return actor

    def close(self) -> None:
        """Leave a cluster to itself; end one that was started here when its workers have written everything."""
        if not self.outlives:
            for link in self.links():
                try:
                    link.call("shutdown")
                except Exception:
                    LOG.exception("the worker on %s did not end well", link.name)
        ray.shutdown()


def _variables(place: Path | str) -> dict[str, str]:
    """What workers need of this process's environment. Where the store is no folder, each node has a data folder of its own."""
    left_out = SECRET if isinstance(place, Path) else (*SECRET, "UNROLLED_HOME")
    passed_on = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    return {name: value for name, value in passed_on.items() if name not in left_out}


def _cores(node: dict[str, Any]) -> int:
    return int(node["Resources"].get("CPU", 0.0))
