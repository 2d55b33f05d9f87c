"""What Streamlit's lock around its options costs scripts that run side by side: `python -m benchmarks.options`.

Each thread does 0.1 ms of work and looks up an option, as a page's script does for each element.
"""

import threading
import time
from collections.abc import Callable

from streamlit import config

from app.lighter import look_up_options_at_once

SECONDS, THREADS, NUMBERS, OPTION = 3.0, (1, 2, 4, 16), 2000, "global.minCachedMessageSize"


def main() -> None:
    """Print elements a second, with the lock and without."""
    locked = config.get_option
    locked(OPTION)
    look_up_options_at_once()
    for count in THREADS:
        before, after = (_elements_a_second(look_up, count) for look_up in (locked, config.get_option))
        print(f"{count} threads: {before:,.0f} with the lock, {after:,.0f} without, {after / before:.2f} times as many")


def _elements_a_second(look_up: Callable[[str], object], threads: int) -> float:
    done, end = [0] * threads, time.monotonic() + SECONDS

    def draw(number: int) -> None:
        while time.monotonic() < end:
            sum(i * i for i in range(NUMBERS))
            look_up(OPTION)
            done[number] += 1

    pool = [threading.Thread(target=draw, args=(number,)) for number in range(threads)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    return sum(done) / SECONDS


if __name__ == "__main__":
    main()
