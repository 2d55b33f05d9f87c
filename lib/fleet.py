"""The workers that train for this process: the way to each, and the thread that listens to it (see lib.remote_jobs)."""

import logging
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from lib.worker import WorkerGoneError

if TYPE_CHECKING:
    from lib.remote_jobs import RemoteJobs

LOG = logging.getLogger(__name__)
BUSY_SECONDS, IDLE_SECONDS = 0.1, 0.5  # between two questions for news


class ApartError(RuntimeError):
    """A worker and this process do not use the same store."""


class Link(Protocol):
    """The way to a worker."""

    name: str  # where it is, for people
    cores: float
    gpus: float

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """What the worker's method returns or raises. Raises WorkerGoneError when there is no worker any more."""


class Fleet(Protocol):
    """The workers that there are."""

    outlives: bool  # whether they go on when this process ends

    def links(self) -> list[Link]:
        """Ways to all workers that live; new ones are begun where some should be. It may take seconds."""

    def close(self) -> None:
        """Let go of them."""


class Follower:
    """One worker, as this process knows it: a thread of its own asks it for news."""

    def __init__(self, link: Link, jobs: "RemoteJobs") -> None:
        self.link, self.owner = link, str(link.call("owner"))
        if not jobs.store.is_alive(self.owner) and not link.call("trouble"):  # or else it could not claim its name
            raise ApartError(
                f"The worker on {link.name} keeps its runs elsewhere than this server: have all of them use one database, "
                "by UNROLLED_STORE."
            )
        self.trouble = ""
        self._jobs, self._name = jobs, secrets.token_hex(8)
        self._asking, self._asked_at = threading.Lock(), 0.0  # when the last question began that was answered
        self.thread = threading.Thread(target=self._loop, name="news", daemon=True)
        self.ask()
        self.thread.start()

    def ask(self) -> None:
        """Take in all news that there is by now. Of those who ask at the same time one asks for all."""
        came = time.monotonic()
        with self._asking:
            if self._asked_at > came:
                return
            began = time.monotonic()
            news, gone, self.trouble = self.link.call("news", self._name, self._jobs.watched())
            self._jobs.take(self, news, gone)
            self._asked_at = began

    def _loop(self) -> None:
        while not self._jobs.closed.wait(BUSY_SECONDS if self._jobs.is_busy(self.owner) else IDLE_SECONDS):
            try:
                self.ask()
            except WorkerGoneError:
                if not self._jobs.closed.is_set():
                    self._jobs.replace(self)
                return
            except Exception:
                LOG.exception("news of a worker cannot be read")
