"""Settings without which this dashboard collapses under a room full of people: refuse to serve without them."""

import os
import sys
from types import SimpleNamespace
from typing import Any

from streamlit import config
from streamlit.runtime.scriptrunner import script_runner

from app import host_code
from app.hosting import hosted
from lib import keras_guard


class UnsafeSettingsError(RuntimeError):
    """The server must not start like this. The text says why and what to do."""


def check() -> None:
    """Raise UnsafeSettingsError when a setting of .streamlit/config.toml is missing. `make dev` may watch files."""
    problems = []
    if config.get_option("runner.postScriptGC"):
        problems.append(
            "runner.postScriptGC is on, so every script run ends with a full garbage collection, recorded as 84 to 203 ms: "
            "set postScriptGC = false under [runner]"
        )
    watcher = config.get_option("server.fileWatcherType")
    if watcher != "none" and os.environ.get("UNROLLED_DEV") != "1":
        problems.append(
            f'server.fileWatcherType is "{watcher}", and watching TensorFlow\'s files makes a script run take 600 ms instead '
            'of 50 (recorded): set fileWatcherType = "none" under [server], or use `make dev` to edit the code'
        )
    if problems:
        raise UnsafeSettingsError(
            "Unrolled does not start with these Streamlit settings. " + ". ".join(problems) + ". Both stand in this "
            "project's .streamlit/config.toml, which is read when the server is started from the project's folder."
        )
    check_keras()


def check_hosting() -> None:
    """Raise UnsafeSettingsError when the host code is short, or when a server for a network lacks it or a protection."""
    problems = []
    if host_code.too_short():
        problems.append(f"the host code has fewer than {host_code.SHORTEST} characters: choose a longer one")
    if hosted() and not host_code.configured():
        problems.append(
            "a server for a network needs a host code, by which the instructor is known: set UNROLLED_HOST_CODE, or "
            f"host_code in .streamlit/secrets.toml, to {host_code.SHORTEST} characters or more"
        )
    for name in ("server.enableXsrfProtection", "server.enableCORS"):
        if hosted() and not config.get_option(name):
            problems.append(f"{name} is off, so other people's pages could act for whoever visits them: set it to true")
    if problems:
        raise UnsafeSettingsError(f"Unrolled does not start: {'; '.join(problems)}.")


def check_keras() -> None:
    """Raise UnsafeSettingsError when Streamlit's clean-up after every script run reaches Keras.

    Before Keras is loaded a guarded stand-in takes its place, so that it is known before anybody is served.
    """
    known = hasattr(script_runner, "_clean_problem_modules")
    if known and not (_reaches_keras() if "keras" in sys.modules else _reaches_stand_in()):
        return
    raise UnsafeSettingsError(
        "Unrolled does not start, because Streamlit would clear Keras's session after every script run, in the whole "
        "process and in the middle of others' training, and lib/keras_guard.py does not keep it from that. Install the "
        "versions in requirements.txt, and import TensorFlow only as `from lib.tf import tf`."
    )


def _reaches_keras() -> bool:
    """Whether Keras forgets over it that it has given out a name."""
    backend: Any = sys.modules["keras"].backend
    backend.get_uid("unrolled_probe")
    script_runner._clean_problem_modules()
    return bool(backend.get_uid("unrolled_probe") == 1)


def _reaches_stand_in() -> bool:
    calls: list[str] = []
    stand_in: Any = SimpleNamespace(backend=SimpleNamespace(clear_session=lambda: calls.append("cleared")))
    keras_guard.guard(stand_in)
    sys.modules["keras"] = stand_in
    try:
        script_runner._clean_problem_modules()
    finally:
        del sys.modules["keras"]
    return bool(calls)
