"""The jobs of this server process, made when they are first asked for."""

import threading
from functools import cache

from demos.registry import get
from lib.jobs import Jobs
from lib.store import Store, data_folder

_MAKING = threading.Lock()


def jobs() -> Jobs:
    """The one `Jobs` of this process."""
    with _MAKING:
        return _jobs()


@cache
def _jobs() -> Jobs:
    return Jobs(
        Store(data_folder()),
        build=lambda slug, config: get(slug).build(config),
        config_of=lambda slug: get(slug).config,
    )
