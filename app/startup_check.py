"""Settings without which this dashboard collapses under a room full of people: refuse to serve without them."""

import os

from streamlit import config


class UnsafeSettingsError(RuntimeError):
    """The server must not start like this. The text says why and what to do."""


def check() -> None:
    """Raise UnsafeSettingsError when a setting of .streamlit/config.toml is missing. `make dev` may watch files."""
    problems = []
    if config.get_option("runner.postScriptGC"):
        problems.append(
            "runner.postScriptGC is on, so every script run ends with a full garbage collection of 84 to 203 ms: "
            "set postScriptGC = false under [runner]"
        )
    watcher = config.get_option("server.fileWatcherType")
    if watcher != "none" and os.environ.get("UNROLLED_DEV") != "1":
        problems.append(
            f'server.fileWatcherType is "{watcher}", and watching TensorFlow\'s files makes a script run take 600 ms '
            'instead of 50: set fileWatcherType = "none" under [server], or use `make dev` to edit the code'
        )
    if problems:
        raise UnsafeSettingsError(
            "Unrolled does not start with these Streamlit settings. " + ". ".join(problems) + ". Both stand in this "
            "project's .streamlit/config.toml, which is read when the server is started from the project's folder."
        )
