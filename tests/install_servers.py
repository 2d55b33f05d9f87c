"""Make sure that there are the programs of PostgreSQL and nginx for the tests: `python -m tests.install_servers`."""

import os
import shutil
import sys
from pathlib import Path

from tests.install_browser import admin, from_debian, runs

CLUSTERS = "/etc/postgresql-common/createcluster.conf"


def programs() -> Path | None:
    """The folder with PostgreSQL's programs, of the latest version; Debian has them on no PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _from_debian() -> bool:
    """Without the database that Debian would make and start, which nobody asked for."""
    change = [*(admin() or []), "pg_conftool", CLUSTERS]
    prepared = from_debian("postgresql-common") and runs([*change, "set", "create_main_cluster", "off"])
    if not prepared:
        return False
    try:
        return from_debian("postgresql")
    finally:
        runs([*change, "remove", "create_main_cluster"])


def nginx() -> str | None:
    """The path of nginx, which Debian has where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def main() -> None:
    """Install them from Debian, unless the system has them."""
    if programs() is None and not _from_debian():
        _give_up("PostgreSQL", "initdb")
    if nginx() is None and not from_debian("nginx-light"):
        _give_up("nginx", "nginx")


def _give_up(what: str, program: str) -> None:
    sys.exit(
        f"The tests of several servers need {what}, and it could not be installed with apt-get. "
        f"Install {what} by hand, so that `{program}` is on the PATH, and run `make test` again."
    )


if __name__ == "__main__":
    main()
