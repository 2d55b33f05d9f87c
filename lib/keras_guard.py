"""Keeps Streamlit from clearing Keras's global state while networks train.

Once Keras is loaded (TensorFlow loads it), Streamlit calls `keras.backend.clear_session()` after every run of a page's
script (`_clean_problem_modules` in streamlit/runtime/scriptrunner/script_runner.py). That acts on the whole process: on what
other visitors' threads are doing, and at the cost of a full garbage collection for every click. So such a call does nothing
here; anybody else's call does what it always did.
"""

import functools
import sys
from types import ModuleType
from typing import Any

_MARK = "ignores_streamlit"


def guard(keras: ModuleType | None = None) -> None:
    """Make `clear_session` ignore Streamlit. `keras` is the loaded Keras unless given; once is as good as twice."""
    module: Any = keras or sys.modules.get("keras")
    if module is None or guarded(module):
        return
    original = module.backend.clear_session

    @functools.wraps(original)
    def clear_session(*args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.partition(".")[0] == "streamlit":
            return None
        return original(*args, **kwargs)

    setattr(clear_session, _MARK, True)
    module.backend.clear_session = clear_session


def guarded(keras: ModuleType | None = None) -> bool:
    """Whether Streamlit's call does nothing: true as well where Keras is not loaded, for then there is none."""
    module: Any = keras or sys.modules.get("keras")
    return module is None or getattr(module.backend.clear_session, _MARK, False)
