"""The run store where the disk may fail: what cannot be written is kept in memory, and written as soon as that works again."""

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lib.clearing import Clearing
from lib.faults import FAULTS, for_everyone, is_lost, is_ours
from lib.queries import KEPT, Kept
from lib.records import RunRecord, SweepRecord
from lib.sqlite import LOCK_SECONDS
from lib.store import K, MemoryStore, Store
from lib.stores import open_store, place_name

LOG = logging.getLogger(__name__)
RETRY_SECONDS = 2.0
T = TypeVar("T")


class SafeStore:
    """A `Store` (see there) that fails nobody. Every method may be called from any thread.

    `trouble` says, for people, why nothing can be saved at the moment; it is empty while all is well. Then runs that were
    changed since are read from memory, and nobody waits for a lock. Housekeeping waits until all is well.
    """

    def __init__(self, place: Store | Path | str) -> None:
        self.trouble = ""
        self._disk = place if isinstance(place, Store) else None
        self._place = place if not isinstance(place, Store) else None
        self.name = place.name if isinstance(place, Store) else place_name(place)
        self._lost = False  # whether there is no way to the disk, so that it is not even asked
        self._memory, self._owner = MemoryStore(), ""
        self._unsaved: dict[str, int] = {}  # ids of runs and sweeps in memory, and how often each was written there
        self._lock, self._mending = threading.Lock(), threading.Lock()
        self._closing, self._closed = threading.Event(), False
        if self._disk is None:
            try:
                self._disk = self._opened()
            except FAULTS as error:
                self._notice(error)

    def _opened(self) -> Store:
        assert self._place is not None
        return open_store(self._place)

    def close(self) -> None:
        """Write what is missing, if that works now, and close."""
        self._closing.set()
        if self.trouble and not self._mend():
            LOG.error("%d runs and sweeps could not be written and are lost: %s", len(self._unsaved), self.trouble)
        with self._mending:
            self._closed = True
            if self._disk is not None:
                self._disk.close()
            self._memory.close()

    # Trouble

    def _notice(self, error: Exception) -> None:
        """Go on in memory from now on. Raises the error where the disk is not to blame for it."""
        if is_ours(error):
            raise error
        with self._lock:
            self._lost = is_lost(error)
            if not self.trouble:
                self.trouble = for_everyone(error, self.name)
                LOG.error("%s cannot be used, runs are kept in memory: %s", self.name, error)
                threading.Thread(target=self._mend_loop, name="mend", daemon=True).start()

    def _mend_loop(self) -> None:
        if self._disk is not None:
            with suppress(*FAULTS):
                self._disk.be_patient(0)  # whoever reads meanwhile is not to wait for a lock
        while not self._closing.wait(RETRY_SECONDS):
            if self._mend():
                LOG.warning("%s can be used again, and all runs are saved", self.name)
                return

    def _mend(self) -> bool:
        """Open the folder again and write what it lacks: whether all is well."""
        try:
            with self._mending:
                if self._closed:
                    return True
                self._reopen()
                self._lost = False
                for name, version in list(self._unsaved.items()):
                    self._write_back(name, version)
                with self._lock:
                    self.trouble = self.trouble if self._unsaved else ""
                if self._disk is not None and not self.trouble:
                    self._disk.be_patient(LOCK_SECONDS)
        except FAULTS as error:
            self.trouble, self._lost = for_everyone(error, self.name), is_lost(error)
        return not self.trouble

    def _reopen(self) -> None:
        disk = self._disk or self._opened()
        if self._disk is not None:
            disk.reopen()
        disk.be_patient(0)
        if self._owner:
            disk.claim(self._owner)
        self._disk = disk

    def _write_back(self, name: str, version: int) -> None:
        """Write a run or a sweep from memory, and forget it there unless it has changed meanwhile."""
        assert self._disk is not None
        if (sweep := self._memory.load_sweep(name)) is not None:
            self._disk.save_sweep(sweep)
        run = self._memory.load(name, deleted=True)
        if run is not None and not self._was_taken(run):
            self._disk.save(run, self._memory.arrays(name) or None)
            self._disk.rename(name, run.name)
            self._disk.put_away(name, run.deleted)
        for kind in KEPT:
            for record in self._memory.kept(kind, name):
                self._disk.keep(record)
        for step in self._memory.network_steps(name):
            self._disk.save_network(name, step, self._memory.network(name, step))
        with self._lock:
            if self._unsaved[name] == version:
                self._memory.delete(name)
                self._memory.drop_sweep(name)
                self._memory.drop_kept(name)
                del self._unsaved[name]

    def _was_taken(self, run: RunRecord) -> bool:
        """Whether another process took a run up meanwhile, which then has the better version of it."""
        assert self._disk is not None
        there = self._disk.load(run.id, deleted=True)
        if there is None or there.owner in ("", run.owner) or not self._disk.is_alive(there.owner):
            return False
        LOG.error("run %s was taken up by another process meanwhile, and is left as that has it", run.id)
        return True

    # Writing

    def _write(self, name: str, write: Callable[[Store], Any]) -> None:
        """Write something of this run or sweep, to the disk or else to memory."""
        while not self._closing.is_set():
            if self._disk is not None and not self.trouble:
                try:
                    write(self._disk)
                    return
                except FAULTS as error:
                    self._notice(error)
            before = None if name in self._unsaved else self._on_disk(name)
            with self._lock:
                if self.trouble:  # or else all has been mended in this moment
                    if before is not None and name not in self._unsaved:
                        self._memory.save(before)  # what its owner calls it
                    write(self._memory)
                    self._unsaved[name] = self._unsaved.get(name, 0) + 1
                    return

    def _on_disk(self, run_id: str) -> RunRecord | None:
        try:
            return self._disk.load(run_id, deleted=True) if self._disk is not None and not self._lost else None
        except FAULTS:
            return None

    def save(self, record: RunRecord, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        self._write(record.id, lambda store: store.save(record, arrays))

    def save_network(self, run_id: str, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        self._write(run_id, lambda store: store.save_network(run_id, step, arrays))

    def save_sweep(self, record: SweepRecord) -> None:
        self._write(record.id, lambda store: store.save_sweep(record))

    def rename(self, run_id: str, name: str) -> None:
        self._write(run_id, lambda store: store.rename(run_id, name))

    def put_away(self, run_id: str, when: float) -> None:
        self._write(run_id, lambda store: store.put_away(run_id, when))

    def keep(self, record: Kept) -> None:
        self._write(record.id, lambda store: store.keep(record))

    def is_unsaved(self, name: str) -> bool:
        """Whether memory has something of this run or sweep that the disk lacks."""
        return name in self._unsaved

    # What can be left out while there is trouble

    def _tend(self, tend: Callable[[Store], Any]) -> None:
        if not self.trouble:
            self._read(tend, None)

    def publish(self, record: RunRecord, stream: Mapping[str, np.ndarray]) -> None:
        self._tend(lambda store: store.publish(record, stream))

    def unpublish(self, run_id: str) -> None:
        self._tend(lambda store: store.unpublish(run_id))

    def clear(self, now: float, clearing: Clearing) -> None:
        self._tend(lambda store: store.clear(now, clearing))

    def prune(self, visitor: str, slug: str) -> None:
        self._tend(lambda store: store.prune(visitor, slug))

    def prune_sweeps(self, visitor: str, slug: str) -> None:
        self._tend(lambda store: store.prune_sweeps(visitor, slug))

    # Several processes

    def claim(self) -> str:
        self._owner = secrets.token_hex(8)
        self._read(lambda store: store.claim(self._owner), "")
        return self._owner

    def is_alive(self, owner: str) -> bool:
        """See `Store.is_alive`; one of whom nothing can be known counts as alive, so that nobody takes its runs."""
        return bool(owner) and self._read(lambda store: store.is_alive(owner), True)

    def take(self, run_id: str, owner: str, new: str) -> bool:
        if not self.trouble and (taken := self._read(lambda store: store.take(run_id, owner, new), None)) is not None:
            return taken
        return True  # a folder nobody else can write to either; of a database see `_was_taken`

    def take_sweep(self, sweep_id: str, owner: str, new: str) -> bool:
        return self.trouble != "" or self._read(lambda store: store.take_sweep(sweep_id, owner, new), True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """What is done in here no other process does at the same time, as far as the disk can be used."""
        with ExitStack() as entered:
            self._tend(lambda store: entered.enter_context(store.alone()))
            yield

    def owners(self) -> dict[str, str]:
        return self._read(lambda store: store.owners(), {})

    # Reading

    def _read(self, read: Callable[[Store], T], otherwise: T) -> T:
        """What the disk has, or else `otherwise`."""
        if self._disk is None or self._lost:
            return otherwise
        try:
            return read(self._disk)
        except FAULTS as error:
            self._notice(error)
            return otherwise

    def _kept_back(self, name: str, read: Callable[[Store], T]) -> T | None:
        """What memory has of a run or sweep that the disk lacks; None where that is nothing."""
        return read(self._memory) if name in self._unsaved else None

    def _either(self, name: str, read: Callable[[Store], T], otherwise: T) -> T:
        """What memory has of it, or else the disk."""
        return self._kept_back(name, read) or self._read(read, otherwise)

    def _all(self, read: Callable[[Store], list[Any]], limit: int = -1) -> list[Any]:
        """The records of memory and of the disk, the newest first."""
        with self._lock:
            found, ids = read(self._memory) if self._unsaved else [], set(self._unsaved)
        nothing: list[Any] = []
        found += [record for record in self._read(read, nothing) if record.id not in ids]
        found.sort(key=lambda record: record.created, reverse=True)
        return found if limit < 0 else found[:limit]

    def load(self, run_id: str) -> RunRecord | None:
        run = self._kept_back(run_id, lambda store: store.load(run_id, deleted=True))
        if run is not None:
            return None if run.deleted else run
        return self._read(lambda store: store.load(run_id), None)

    def arrays(self, run_id: str, *names: str) -> dict[str, np.ndarray]:
        return self._either(run_id, lambda store: store.arrays(run_id, *names), {})

    def published(self, run_id: str) -> dict[str, np.ndarray]:
        return self._read(lambda store: store.published(run_id), {})

    def network(self, run_id: str, step: int) -> dict[str, np.ndarray]:
        return self._either(run_id, lambda store: store.network(run_id, step), {})

    def network_steps(self, run_id: str) -> list[int]:
        nothing: list[int] = []
        there = self._read(lambda store: store.network_steps(run_id), nothing)
        return sorted({*there, *(self._kept_back(run_id, lambda store: store.network_steps(run_id)) or ())})

    def runs_of(self, visitor: str, slug: str | None, limit: int, *, cells: bool = False) -> list[RunRecord]:
        return self._all(lambda store: store.runs_of(visitor, slug, limit, cells=cells), limit)

    def cells_of(self, sweep_id: str) -> dict[str, RunRecord]:
        return {record.id: record for record in self._all(lambda store: list(store.cells_of(sweep_id).values()))}

    def unfinished(self) -> list[RunRecord]:
        return self._all(lambda store: store.unfinished())

    def load_sweep(self, sweep_id: str) -> SweepRecord | None:
        return self._either(sweep_id, lambda store: store.load_sweep(sweep_id), None)

    def sweeps_of(self, visitor: str, slug: str, limit: int) -> list[SweepRecord]:
        return self._all(lambda store: store.sweeps_of(visitor, slug, limit), limit)

    def unfinished_sweeps(self) -> list[SweepRecord]:
        return self._all(lambda store: store.unfinished_sweeps())

    def kept(self, kind: type[K], name: str | None = None) -> list[K]:
        return self._all(lambda store: store.kept(kind, name))

    def changes(self) -> int | None:
        """See `Store.changes`; None while memory has changes that the disk lacks."""
        nothing: int | None = None
        return self._read(lambda store: store.changes(), nothing) if not self.trouble else None

    def runs_in(self, spans: Sequence[tuple[str, float, float]], limit: int = -1) -> list[RunRecord]:
        return self._all(lambda store: store.runs_in(spans, limit), limit)
