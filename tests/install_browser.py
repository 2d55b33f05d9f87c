"""Make sure that there is a Chromium for the browser tests: `python -m tests.install_browser`."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")


def system_browser() -> str | None:
    """The path of a Chromium that the system has."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def runs(command: list[str]) -> bool:
    """Whether a command ran without an error."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0


def admin() -> list[str] | None:
    """What a command begins with that changes the system; None where that is not possible."""
    return [] if os.geteuid() == 0 else ["sudo", "-n"] if shutil.which("sudo") else None


def from_debian(package: str) -> bool:
    """Install a package: whether that worked."""
    before = admin()
    if not shutil.which("apt-get") or before is None:
        return False
    runs([*before, "apt-get", "update", "-qq"])
    return runs([*before, "apt-get", "install", "-y", "-qq", package])


def main() -> None:
    """Install one, from Debian or else by Playwright, unless the system has it."""
    if system_browser() or from_debian("chromium") or runs([sys.executable, "-m", "playwright", "install", "chromium"]):
        return
    sys.exit(
        "The browser tests need Chromium, and it could not be installed: neither with apt-get nor with Playwright. "
        "Install Chromium by hand, so that `chromium` is on the PATH, and run `make test` again."
    )


if __name__ == "__main__":
    main()
