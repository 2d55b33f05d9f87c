"""Make sure that there is a Chromium for the browser tests: `python -m tests.install_browser`."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")


def system_browser() -> str | None:
    """The path of a Chromium that the system has."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _runs(command: list[str]) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0


def _from_debian() -> bool:
    if not shutil.which("apt-get"):
        return False
    admin = [] if os.geteuid() == 0 else ["sudo", "-n"] if shutil.which("sudo") else None
    if admin is None:
        return False
    _runs([*admin, "apt-get", "update", "-qq"])
    return _runs([*admin, "apt-get", "install", "-y", "-qq", "chromium"])


def main() -> None:
    """Install one, from Debian or else by Playwright, unless the system has it."""
    if system_browser() or _from_debian() or _runs([sys.executable, "-m", "playwright", "install", "chromium"]):
        return
    sys.exit(
        "The browser tests need Chromium, and it could not be installed: neither with apt-get nor with Playwright. "
        "Install Chromium by hand, so that `chromium` is on the PATH, and run `make test` again."
    )


if __name__ == "__main__":
    main()
