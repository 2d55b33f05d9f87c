"""Import TensorFlow and compile each demo's defaults in the background, so that the first Start is quick.

The import keeps the interpreter busy for seconds, so the first page goes before it.
"""

import logging
import os
import threading

from demos.registry import DEMOS

LOG = logging.getLogger(__name__)
AFTER_SECONDS = 2.0


def start() -> None:
    """Warm up in a thread of its own. `UNROLLED_WARM_UP=0` leaves it out."""
    if os.environ.get("UNROLLED_WARM_UP", "1") != "0":
        timer = threading.Timer(AFTER_SECONDS, _warm_up)
        timer.daemon = True
        timer.start()


def _warm_up() -> None:
    for demo in DEMOS:
        try:
            demo.build(demo.config()).prepare()
        except Exception:
            LOG.exception("%s could not be warmed up; its page will show the error", demo.slug)
