"""A process of its own that trains: the pages' process keeps its interpreter to itself, and needs no TensorFlow.

`python -m lib.worker_process` is told on its standard input what to do, listens where it says on its standard output, and
ends, with everything written, when its standard input is closed: also when whoever started it was killed.
"""

import logging
import os
import pickle
import queue
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from pydoc import locate
from tempfile import TemporaryDirectory
from typing import Any

from threadpoolctl import threadpool_limits

from lib.clearing import Clearing
from lib.fleet import Link
from lib.jobs import Jobs
from lib.worker import Worker, WorkerGoneError, answer

LOG = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parent.parent
NICE = 5  # pages go first where both want a core
END_SECONDS = 30.0  # that a process may take to write everything: a large run to a slow database takes seconds
LOST = (EOFError, ConnectionError, OSError)


@dataclass(frozen=True)
class Setup:
    """What a worker process is to be. Functions are named "module.function", because they are imported there."""

    key: bytes
    place: Path | str  # of the store
    build: str
    config_of: str
    clearing: Clearing
    workers: int | None = None
    begin: str = ""  # called first


class WorkerProcess:
    """The process, as whoever started it sees it."""

    name = "this machine"
    cores, gpus = float(os.cpu_count() or 1), 0.0  # there is no other to choose between

    def __init__(self, setup: Setup) -> None:
        self._setup, self._lost = setup, False
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lib.worker_process"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])},
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        pickle.dump(setup, self._process.stdin)
        self._process.stdin.flush()
        self._address = self._process.stdout.readline().decode().strip()
        if not self._address:
            raise WorkerGoneError("The training process could not start; the log says why.")

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """What the worker's method `name` returns or raises. Raises WorkerGoneError when the process has ended."""
        try:
            connection = self._connection()
            connection.send((name, arguments, named))
            good, result = pickle.loads(connection.recv_bytes())
        except LOST as error:
            self._lost = True
            raise WorkerGoneError("The training process has ended.") from error
        self._idle.put(connection)
        if not good:
            raise result
        return result

    def _connection(self) -> Connection:
        with suppress(queue.Empty):
            return self._idle.get_nowait()
        return Client(self._address, authkey=self._setup.key)

    def lives(self) -> bool:
        """Whether it has not ended."""
        return not self._lost and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def close(self) -> None:
        """Have it write everything and end."""
        assert self._process.stdin is not None
        with suppress(*LOST):
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            LOG.error("the training process did not end in time")
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class LocalFleet:
    """One worker process on this machine, begun anew when it has gone."""

    outlives = False

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._worker: WorkerProcess | None = None
        self._lock = threading.Lock()

    def links(self) -> list[Link]:
        with self._lock:
            if self._worker is None or not self._worker.lives():
                if self._worker is not None:
                    self._worker.close()
                self._worker = WorkerProcess(self._setup)
            return [self._worker]

    def close(self) -> None:
        with self._lock:
            if self._worker is not None:
                self._worker.close()


def main() -> None:
    """Be the process that a `WorkerProcess` stands for."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the one that started this, and it closes the input
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    setup: Setup = pickle.load(sys.stdin.buffer)
    with TemporaryDirectory(prefix="unrolled-") as folder:  # the listener's own would stay
        listener = Listener(str(Path(folder, "worker")), authkey=setup.key)
        worker = begin_worker(setup, alone=True)
        threading.Thread(target=_listen, args=(listener, worker), daemon=True).start()
        print(listener.address, flush=True)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads on
        sys.stdin.buffer.read()
        worker.shutdown()
    logging.shutdown()
    os._exit(0)  # what still trains or compiles is of no use to anybody


def begin_worker(setup: Setup, *, alone: bool) -> Worker:
    """The worker of this process; `alone` as of `Jobs`."""
    if setup.begin:
        _named(setup.begin)()
    threadpool_limits(1, user_api="blas")  # the products in NumPy are small, and jobs come side by side
    build, config_of = _named(setup.build), _named(setup.config_of)
    jobs = Jobs(
        setup.place,
        setup.workers,
        build=build,
        config_of=config_of,
        clearing=setup.clearing,
        alone=alone,
        publishes=alone and isinstance(setup.place, str),  # for the other servers of the database
    )
    return Worker(jobs)


def _named(name: str) -> Callable[..., Any]:
    found = locate(name)
    if not callable(found):
        raise LookupError(f"{name} is not a function.")
    return found


def _listen(listener: Listener, worker: Worker) -> None:
    while True:
        try:
            connection = listener.accept()
        except Exception:  # whoever does not know the key
            LOG.exception("a connection was refused")
            continue
        threading.Thread(target=_serve, args=(connection, worker), daemon=True).start()


def _serve(connection: Connection, worker: Worker) -> None:
    """Answer one question after the other until the one who asks has gone."""
    with suppress(*LOST):
        while True:
            name, arguments, named = connection.recv()
            connection.send_bytes(answer(lambda: worker, name, arguments, named))


def new_key() -> bytes:
    """A secret that whoever may ask a worker has."""
    return secrets.token_bytes(32)


if __name__ == "__main__":
    main()
