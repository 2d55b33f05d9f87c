"""A PostgreSQL server of the tests' own, on this machine and only while they run."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.install_servers import programs

# Nothing needs to survive the machine.
FAST = [f"-c{name}=off" for name in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")]


class Cluster:
    """A server with its databases, of a user `unrolled` who needs no password."""

    def __init__(self, folder: Path) -> None:
        found = programs()
        assert found is not None, "PostgreSQL is not installed: run `make test`, or python -m tests.install_servers"
        self.folder, self._programs = folder, found
        self._as: list[str] = []
        if shutil.which("setpriv"):
            self._as = ["setpriv", "--pdeathsig", "INT"]  # it ends with the tests, however these end
            if os.geteuid() == 0:  # as whom PostgreSQL refuses to run
                self._as += ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
                shutil.chown(folder, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-A", "trust", "-U", "unrolled", "-N", "--locale=C", "--encoding=UTF8")

    def address(self, database: str) -> str:
        """How a server is told to use a database; the password is one that must never be shown."""
        return f"postgresql://unrolled:secret@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, self._programs / program, "-D", self.folder / "data", *arguments]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [*self._as, self._programs / "postgres", "-D", self.folder / "data", "-p", str(self.port)]
        command += ["-clisten_addresses=127.0.0.1", "-cunix_socket_directories=", *FAST]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not start within a minute"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it at once, with all connections to it."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=60)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple]:
        """The rows that a statement finds."""
        with psycopg.connect(self.address(database), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def fresh(self) -> str:
        """The name of a database that is empty, and that nobody uses any more; a new one for each test takes far longer."""
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = 'runs'"):
            self.execute("CREATE DATABASE runs")
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'runs'")
        self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", "runs")
        return "runs"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One server for all tests of a process."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder))
        cluster.start()
        yield cluster
        cluster.stop()


@pytest.fixture
def database(cluster: Cluster) -> str:
    """The name of an empty database."""
    return cluster.fresh()


@pytest.fixture(params=["folder", "database"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where runs may be kept: an empty folder, and then an empty database."""
    if request.param == "folder":
        return tmp_path
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.address(cluster.fresh())
