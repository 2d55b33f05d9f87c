"""Import TensorFlow and compile each demo's defaults in the background, so that the first Start is quick."""

import logging
import os
import threading

from demos.registry import DEMOS

LOG = logging.getLogger(__name__)


def start() -> None:
    """Warm up in a thread of its own. `UNROLLED_WARM_UP=0` leaves it out."""
    if os.environ.get("UNROLLED_WARM_UP", "1") != "0":
        threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()


def _warm_up() -> None:
    for demo in DEMOS:
        try:
            demo.build(demo.config()).prepare()
        except Exception:
            LOG.exception("%s could not be warmed up; its page will show the error", demo.slug)
