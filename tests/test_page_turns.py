"""Pages are drawn a few at a time."""

import threading
import time

import pytest

from app import turns
from app.turns import AT_ONCE, turn


def test_so_many_at_once_and_each_has_its_turn_also_after_one_that_failed() -> None:
    inside, most, done, lock = 0, 0, 0, threading.Lock()

    def draw() -> None:
        nonlocal inside, most, done
        try:
            with turn():
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.005)
                with lock:
                    inside -= 1
                    done += 1
                raise RuntimeError("as when a script is overtaken")
        except RuntimeError:
            pass

    threads = [threading.Thread(target=draw) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (AT_ONCE, 20)


def test_nobody_waits_for_ever_behind_a_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.01)
    slow = [turn() for _ in range(AT_ONCE)]
    for each in slow:
        each.__enter__()
    with turn():
        pass
    for each in slow:
        each.__exit__(None, None, None)
    with turn(), turn():
        assert not turns._turns.acquire(blocking=False)
