"""Sweeps in the background: each cell is a job of its own, a few at a time, so that everybody else's runs go on beside it.

What a sweep has come to is always read from its cells' records, so a restart needs nothing special: the cells that have
ended stay, and the others go on or begin. Of several servers on one store each looks after its own, and takes over those of
one that has ended.

Only the thread of the sweeps tells the jobs anything, and then it holds no lock: a worker that is away may take seconds to
answer, and pages do not wait for that.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from lib.job import ACTIVE, Job, State
from lib.known_jobs import KnownJobs
from lib.records import SweepRecord
from lib.settings import Config
from lib.sweep import Axis, Plan, Result
from lib.worker import WorkerGoneError

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.02
LOOK_AROUND_SECONDS = 1.0  # whether sweeps of other servers have come on, or were left
KEPT_IN_MEMORY = 16  # ended sweeps


class Sweep:
    """One sweep. Pages read its attributes; only `Sweeps` writes them. `version` goes up at every change."""

    def __init__(self, slug: str, plan: Plan, visitor: str, *, sweep_id: str | None = None) -> None:
        self.id = sweep_id or secrets.token_hex(9)
        self.slug, self.plan, self.visitor = slug, plan, visitor
        self.cells = plan.cells
        self.state, self.message = State.RUNNING, ""
        self.results: dict[int, Result] = {}  # of the cells that have ended
        self.under_way: dict[int, Job] = {}
        self.created, self.seconds = time.time(), 0.0
        self.version = 0
        self.owner = ""  # the process that begins its cells

    def cell_id(self, index: int) -> str:
        """The id of the run of a cell. It does not tell the sweep's, so that one cell can be shared alone."""
        return hashlib.blake2b(f"{self.id}/{index}".encode(), digest_size=12).hexdigest()

    @property
    def time_left(self) -> float | None:
        """Seconds to the end at the pace so far, None when that is unknown."""
        done = len(self.results)
        if self.state is not State.RUNNING or not done or not self.seconds:
            return None
        return self.seconds / done * (len(self.cells) - done)

    def record(self) -> SweepRecord:
        """What the store keeps of it."""
        axes = [[axis.name, list(axis.values)] for axis in self.plan.axes]
        return SweepRecord(
            id=self.id, visitor=self.visitor, slug=self.slug, base=self.plan.base.model_dump(), axes=axes,
            state=str(self.state), message=self.message, created=self.created, seconds=self.seconds,
            owner=self.owner,
        )  # fmt: skip


class Sweeps:
    """All sweeps of the process. Every method may be called from any thread."""

    def __init__(self, jobs: KnownJobs, *, config_of: Callable[[str], type[Config]]) -> None:
        self._jobs, self._store, self._config_of = jobs, jobs.store, config_of
        self._sweeps: OrderedDict[str, Sweep] = OrderedDict()
        self._changed = threading.Condition(threading.RLock())
        self._closing = False
        self._launched: dict[str, float] = {}  # visitor -> when a cell of theirs was begun last
        self._orders: dict[str, Callable[[str], None]] = {}  # what the cells of these ids are to be told yet
        self._take_over_left()
        self._thread = threading.Thread(target=self._loop, name="sweeps", daemon=True)
        self._thread.start()

    def start(self, slug: str, plan: Plan, visitor: str) -> Sweep:
        """Begin a sweep. Raises LimitError, as Jobs.start."""
        sweep = Sweep(slug, plan, visitor)
        sweep.owner = self._jobs.owner
        limits = [self._jobs.permit(visitor, slug, config) for config in sweep.cells]
        with self._changed:
            self._jobs.check_limits(visitor, limits[0], steps=max(getattr(cell, "steps", 0) for cell in sweep.cells))
            self._sweeps[sweep.id] = sweep
            self._count(sweep)
            self._forget_oldest()
            self._store.save_sweep(sweep.record())
            self._store.prune_sweeps(visitor, slug)
            self._changed.notify_all()
        return sweep

    def get(self, sweep_id: str) -> Sweep | None:
        """The sweep with this id, from memory or from the store."""
        with self._changed:
            sweep = self._sweeps.get(sweep_id)
        if sweep is None and (record := self._store.load_sweep(sweep_id)) is not None:
            restored = self._restored(record)
            if restored is not None:
                with self._changed:
                    sweep = self._sweeps.setdefault(sweep_id, restored)
        return sweep

    def latest(self, visitor: str, slug: str, limit: int = 10) -> list[SweepRecord]:
        """The visitor's sweeps of a demo, the newest first."""
        return self._store.sweeps_of(visitor, slug, limit)

    def pause(self, sweep_id: str) -> None:
        """Hold it; cells under way are held after their chunk."""
        self._become(sweep_id, {State.RUNNING}, State.PAUSED, self._jobs.pause)

    def resume(self, sweep_id: str) -> None:
        """Let a paused sweep go on."""
        self._become(sweep_id, {State.PAUSED}, State.RUNNING, self._jobs.resume)

    def stop(self, sweep_id: str) -> None:
        """End it. The cells that have ended are kept, and what those under way have learned."""
        self._become(sweep_id, {State.RUNNING, State.PAUSED}, State.STOPPED, self._jobs.stop)

    def shutdown(self) -> None:
        """End the thread. Call it before the jobs' own shutdown, which writes the cells under way."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout=5)
        with self._changed:
            for sweep in self._sweeps.values():
                if sweep.state in ACTIVE and self._is_mine(sweep):
                    self._store.save_sweep(sweep.record())

    # Sweeps of several servers. The lock is not held.

    def _restored(self, record: SweepRecord) -> Sweep | None:
        """A sweep from the store. One whose settings are no longer valid is not shown."""
        try:
            base = self._config_of(record.slug)(**record.base)
            plan = Plan(base, tuple(Axis(name, tuple(values)) for name, values in record.axes))
            sweep = Sweep(record.slug, plan, record.visitor, sweep_id=record.id)
        except (ValueError, LookupError) as error:
            LOG.error("sweep %s cannot be restored: %s", record.id, error)
            return None
        sweep.state, sweep.message = State(record.state), record.message
        sweep.created, sweep.seconds, sweep.owner = record.created, record.seconds, record.owner
        cells = self._store.cells_of(sweep.id)
        for index in range(len(sweep.cells)):
            cell = cells.get(sweep.cell_id(index))
            if cell is not None and cell.state not in ACTIVE:
                sweep.results[index] = Result(cell.state, tuple(cell.final_by_seed))
            elif cell is not None and (job := self._jobs.get(cell.id)) is not None:
                sweep.under_way[index] = job
        return sweep

    def _is_mine(self, sweep: Sweep) -> bool:
        return sweep.owner == self._jobs.owner

    def _takes(self, sweep: Sweep) -> bool:
        """Whether a sweep is this server's own, or becomes so because its visitor wants something of it here."""
        if not self._is_mine(sweep) and self._store.take_sweep(sweep.id, sweep.owner, self._jobs.owner):
            self._renew(sweep)
        return self._is_mine(sweep)

    def _renew(self, sweep: Sweep) -> None:
        """Read a sweep from the store again; whoever holds it sees it come on."""
        while True:
            version, record = sweep.version, self._store.load_sweep(sweep.id)
            if record is None or (stored := self._restored(record)) is None:
                return
            with self._changed:
                if sweep.version == version:  # or else it has changed meanwhile
                    vars(sweep).update(vars(stored) | {"version": version + 1})
                    self._sweeps[sweep.id] = sweep
                    self._count(sweep)
                    return

    def _take_over_left(self) -> None:
        """Take over the sweeps whose server has ended. Where their cells have ended with it they wait for their visitor."""
        for record in self._store.unfinished_sweeps():
            if record.owner == self._jobs.owner or self._store.is_alive(record.owner):
                continue
            if not self._store.take_sweep(record.id, record.owner, self._jobs.owner):
                continue
            sweep = self.get(record.id)
            if sweep is None:
                continue
            self._renew(sweep)
            with self._changed:
                if not self._jobs.outlives:
                    sweep.state = State.PAUSED
                    sweep.message = "The server was restarted. Resume goes on where it was."
                self._publish(sweep)

    def _look_around(self) -> None:
        """See what other servers have done: to their sweeps that are shown here, and to those of this one."""
        self._take_over_left()
        with self._changed:
            active = [sweep for sweep in self._sweeps.values() if sweep.state in ACTIVE]
            for job in [job for sweep in active for job in sweep.under_way.values()]:
                job.touch()  # or else it might leave memory while it is held on to
        for sweep in active:
            record = self._store.load_sweep(sweep.id)
            if record is not None and record.owner != self._jobs.owner:
                self._renew(sweep)

    def _become(self, sweep_id: str, when: set[State], state: State, command: Callable[[str], None]) -> None:
        sweep = self.get(sweep_id)
        if sweep is None or sweep.state not in ACTIVE or not self._takes(sweep):
            return
        with self._changed:
            if sweep.state in when:
                sweep.state, sweep.message = state, ""
                self._order(sweep, command)
                self._publish(sweep)
                self._changed.notify_all()

    # With the lock held

    def _order(self, sweep: Sweep, command: Callable[[str], None]) -> None:
        """Have the cells under way told something soon."""
        self._orders |= dict.fromkeys((job.id for job in sweep.under_way.values()), command)

    def _forget_oldest(self) -> None:
        """Sweeps that have ended are dropped from memory, except the latest; the store has them."""
        ended = [sweep.id for sweep in self._sweeps.values() if not (sweep.state in ACTIVE or sweep.under_way)]
        for sweep_id in ended[:-KEPT_IN_MEMORY]:
            del self._sweeps[sweep_id]

    def _count(self, sweep: Sweep) -> None:
        """Have it count among its visitor's runs while it is under way in this process."""
        if sweep.state in ACTIVE and self._is_mine(sweep):
            self._jobs.sweeps[sweep.id] = sweep.visitor
        else:
            self._jobs.sweeps.pop(sweep.id, None)

    def _publish(self, sweep: Sweep) -> None:
        sweep.version += 1
        self._count(sweep)
        self._store.save_sweep(sweep.record())

    def _collect(self, sweep: Sweep) -> None:
        """Take in the cells that have ended."""
        for index, job in list(sweep.under_way.items()):
            if job.active:
                continue
            del sweep.under_way[index]
            sweep.results[index] = Result(str(job.state), tuple(job.stream.final_by_seed()))
            self._publish(sweep)
        if len(sweep.results) == len(sweep.cells) and sweep.state is State.RUNNING:
            sweep.state = State.FINISHED
            self._publish(sweep)

    def _next(self, running: list[Sweep]) -> Sweep | None:
        """The sweep whose turn it is to begin a cell: of the visitor with the fewest under way, who has waited longest."""
        waiting = [s for s in running if s.state is State.RUNNING and len(s.results) + len(s.under_way) < len(s.cells)]
        under_way: dict[str, int] = {}
        for sweep in running:
            under_way[sweep.visitor] = under_way.get(sweep.visitor, 0) + len(sweep.under_way)
        if not waiting or sum(under_way.values()) >= self._jobs.cells_at_once:
            return None
        return min(waiting, key=lambda s: (under_way[s.visitor], self._launched.get(s.visitor, 0.0), len(s.under_way)))

    # The thread. The lock is not held.

    def _loop(self) -> None:
        looked = around = time.monotonic()
        while True:
            self._obey()
            now = time.monotonic()
            if now - around > LOOK_AROUND_SECONDS:
                self._tried(self._look_around)
                around = now
            with self._changed:
                if self._closing:
                    return
                mine = [sweep for sweep in self._sweeps.values() if self._is_mine(sweep)]
                running = [sweep for sweep in mine if sweep.state is State.RUNNING]
                settling = [sweep for sweep in mine if sweep.under_way]
                if not (running or settling or self._orders):
                    self._changed.wait(LOOK_AROUND_SECONDS)
                    looked = time.monotonic()
                    continue
                for sweep in running:
                    sweep.seconds += now - looked
                looked = now
                for sweep in {id(sweep): sweep for sweep in [*settling, *running]}.values():
                    self._guarded(sweep, self._collect)
            while self._begin_next(running):
                pass
            with self._changed:
                self._changed.wait(LOOK_SECONDS)

    def _tried(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:  # tried again the next time
            LOG.exception("the sweeps cannot be looked after")

    def _guarded(self, sweep: Sweep, act: Callable[[Sweep], None]) -> bool:
        """A full disk, or whatever else goes wrong with one sweep, ends that one and no other: whether nothing went wrong."""
        try:
            act(sweep)
            return True
        except WorkerGoneError as error:  # tried again at the next look
            LOG.warning("sweep %s waits: %s", sweep.id, error)
        except Exception as error:
            LOG.exception("sweep %s failed", sweep.id)
            with self._changed:
                sweep.state, sweep.message = State.FAILED, f"{type(error).__name__}: {error}"
                self._order(sweep, self._jobs.stop)
                sweep.under_way.clear()
                self._tried(lambda: self._publish(sweep))
        return False

    def _obey(self) -> None:
        """Tell cells what was asked of their sweeps; one whose worker is away hears of it when that is back."""
        with self._changed:
            orders = dict(self._orders)
        for run_id, command in orders.items():
            try:
                command(run_id)
            except WorkerGoneError as error:
                LOG.warning("cell %s waits: %s", run_id, error)
                continue
            except Exception:
                LOG.exception("cell %s cannot be told", run_id)
            with self._changed:
                if self._orders[run_id] is command:  # or else somebody has thought better of it
                    del self._orders[run_id]

    def _begin_next(self, running: list[Sweep]) -> bool:
        """Begin the cell whose turn it is: whether there was one, and that went well."""
        with self._changed:
            sweep = None if self._closing else self._next(running)
        return sweep is not None and self._guarded(sweep, self._begin)

    def _begin(self, sweep: Sweep) -> None:
        """Begin the next cell."""
        self._launched[sweep.visitor] = time.monotonic()
        index = next(i for i in range(len(sweep.cells)) if i not in sweep.results and i not in sweep.under_way)
        job = self._jobs.start(
            sweep.slug, sweep.cells[index], sweep.visitor, sweep=sweep.id, run_id=sweep.cell_id(index)
        )
        with self._changed:
            sweep.under_way[index] = job
            if sweep.state is not State.RUNNING:  # somebody was quick
                self._orders[job.id] = self._jobs.pause if sweep.state is State.PAUSED else self._jobs.stop
