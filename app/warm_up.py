"""Do in the background what the first visitors would have to wait for: import the pages and TensorFlow, compile the defaults.

The latter two happen where networks are trained. In this process the import of TensorFlow keeps the interpreter busy for
seconds, so the first page goes before it.
"""

import gc
import logging
import os
import signal
import threading
from importlib import import_module
from pathlib import Path

from app import routes, startup_check
from app.service import jobs
from demos.registry import DEMOS
from demos.warm_up import compile_defaults, import_tensorflow

LOG = logging.getLogger(__name__)
AFTER_SECONDS = 2.0

unready = ""  # why nobody should be sent here yet


def start() -> None:
    """Warm up in a thread of its own. `UNROLLED_WARM_UP=0` leaves it out."""
    global unready
    if os.environ.get("UNROLLED_WARM_UP", "1") != "0":
        unready = "TensorFlow is being imported, and the demos' defaults are being compiled."
        timer = threading.Timer(AFTER_SECONDS, _warm_up)
        timer.daemon = True
        timer.start()


def _warm_up() -> None:
    global unready
    routes.plotly_script()
    _import_pages()
    if not _tensorflow_is_safe():
        unready = "TensorFlow cannot be imported; the log says why."
        return
    for demo in DEMOS:
        try:
            jobs().compute_everywhere(compile_defaults, demo.slug)
        except Exception:
            LOG.exception("%s could not be warmed up; its page will show the error", demo.slug)
    gc.freeze()  # what is here by now stays, and lib.memory need not look at it again and again
    unready = ""


def _import_pages() -> None:
    """Import the modules of all pages and demos."""
    for path in Path(__file__).parent.glob("*_page.py"):
        import_module(f"app.{path.stem}")
    for demo in DEMOS:
        try:
            _ = (demo.figures, demo.theory, demo.lessons, demo.inside, demo.words, demo.workshop)
        except Exception:
            LOG.exception("%s cannot be imported; its page will show the error", demo.slug)


def _tensorflow_is_safe() -> bool:
    """Import TensorFlow, and see that Streamlit leaves its Keras alone; else the server stops."""
    try:
        jobs().compute_everywhere(import_tensorflow)
    except Exception:
        LOG.exception("TensorFlow cannot be imported, so no run can start")
        return False
    try:
        startup_check.check_keras()
    except startup_check.UnsafeSettingsError as unsafe:
        LOG.critical(str(unsafe))
        os.kill(os.getpid(), signal.SIGTERM)
        return False
    return True
