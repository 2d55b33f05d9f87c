"""Who owns runs: each process that trains claims a name, and others see whether it still runs, however it ended."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
import sqlalchemy as sa

ALONE_SECONDS = 10.0  # to wait for a process that is alone now
LOOK_EVERY = 2.0  # whether the session that holds the claim is still there
GRACE_SECONDS = 10.0  # in which an owner whose connection was lost can come back


class FileClaims:
    """Owners of one folder: each holds a lock on a file there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: filelock.BaseFileLock | None = None

    def claim(self, name: str) -> None:
        """Own runs under this name until this process ends."""
        if self._held is None:
            lock = self._lock(f"process-{name}")
            lock.acquire(blocking=False)
            self._held = lock

    def is_alive(self, owner: str) -> bool:
        """Whether the process of this name still runs."""
        lock = self._lock(f"process-{owner}")
        if not Path(lock.lock_file).exists():
            return False
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return True
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
        return False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process is in here meanwhile."""
        with self._lock("alone").acquire(timeout=ALONE_SECONDS):
            yield

    def close(self) -> None:
        """Let go of what this process owns."""
        if self._held is not None:
            self._held.release()
            with suppress(OSError):
                Path(self._held.lock_file).unlink(missing_ok=True)

    def _lock(self, name: str) -> filelock.BaseFileLock:
        return filelock.FileLock(self._folder / f"{name}.lock", thread_local=False)


# Advisory locks of PostgreSQL have numbers. An owner's is shared, so that an owner whose connection was lost need not wait for
# the database to notice that; nobody else takes it, they only look.
_NUMBER = sa.func.hashtextextended(sa.bindparam("name", type_=sa.Text), 0)
_HOLD = sa.select(sa.func.pg_advisory_lock_shared(_NUMBER))
_IS_HELD = sa.text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (classid::bigint << 32 | objid::bigint) = hashtextextended(:name, 0))"
)
_ENTER, _LEAVE = sa.select(sa.func.pg_advisory_lock(_NUMBER)), sa.select(sa.func.pg_advisory_unlock(_NUMBER))


class SessionClaims:
    """Owners of one PostgreSQL database: each holds a lock there, which ends with its connection.

    Where the connection is lost and the process is not, it claims its name again as soon as it can.
    """

    def __init__(self, connect: Callable[[], sa.Connection]) -> None:
        self._connect = connect
        self._name = ""
        self._held: sa.Connection | None = None
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._dead_at: dict[str, float] = {}  # from when an owner that was seen alive counts as ended

    def claim(self, name: str) -> None:
        """Own runs under this name until this process ends."""
        first, self._name = not self._name, self._name or name
        if first:
            threading.Thread(target=self._hold_on, name="claim", daemon=True).start()
        self._hold()

    def _hold_on(self) -> None:
        while not self._closed.wait(LOOK_EVERY):
            with suppress(sa.exc.SQLAlchemyError):  # tried again at the next look
                self._hold()

    def _hold(self) -> None:
        """Take the lock, unless the session that took it is still there."""
        with self._lock:
            if self._held is not None and self._answers(self._held):
                return
            if not self._closed.is_set():
                self._held = None
                connection = self._connect()
                connection.detach()
                connection.execute(_HOLD, {"name": self._name})
                self._held = connection

    def _answers(self, connection: sa.Connection) -> bool:
        try:
            connection.execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError:
            connection.close()
            return False
        return True

    def is_alive(self, owner: str) -> bool:
        """Whether the process of this name still runs."""
        with self._connect() as connection:
            held = connection.execute(_IS_HELD, {"name": owner}).scalar_one()
        now = time.monotonic()
        dead_at = math.inf if held else self._dead_at.get(owner, now)
        self._dead_at[owner] = now + GRACE_SECONDS if dead_at == math.inf and not held else dead_at
        return now < self._dead_at[owner]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process is in here meanwhile."""
        with self._connect() as connection:
            connection.execute(_ENTER, {"name": "alone"})
            try:
                yield
            finally:
                try:
                    connection.execute(_LEAVE, {"name": "alone"})
                except sa.exc.SQLAlchemyError:
                    connection.invalidate()  # the lock goes with the connection

    def close(self) -> None:
        """Let go of what this process owns."""
        self._closed.set()
        with self._lock:
            if self._held is not None:
                self._held.close()
