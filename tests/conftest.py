"""A real server and a real browser, for the tests that need them."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import httpx
import hypothesis
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.install_browser import system_browser
from tests.postgres import cluster, database, place  # noqa: F401

hypothesis.settings.register_profile("unrolled", deadline=None)  # a busy machine is no fault of the code
hypothesis.settings.load_profile("unrolled")

ROOT = Path(__file__).parent.parent
HOST_CODE = "correct-horse"
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_configure(config: pytest.Config) -> None:
    """Two workers share two cores, so a process computes in one thread; what no test needs is not compiled beforehand."""
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "UNROLLED_WARM_UP": "0"}
    if "TF_XLA_FLAGS" not in os.environ:  # which the workers and all servers have from the first process
        # What one process has compiled the others read, in this run of the tests only.
        compiled = tempfile.TemporaryDirectory(prefix="unrolled-compiled-")
        config.add_cleanup(compiled.cleanup)
        os.environ["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={compiled.name}"


LONGEST = (
    "browser", "lessons", "browser_gates", "browser_ptb", "browser_story", "browser_from_scratch", "browser_cluster",
    "resume", "ray", "pages", "quotes", "device", "browser_room", "browser_hosting", "cli", "ptb_task", "uploads", "training",
    "import_rules", "story_task", "jobs",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: begun last, they would keep one core waiting for the other."""
    places = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


class Server:
    """The dashboard as a person starts it, with a data folder of its own."""

    command = ("-m", "streamlit", "run", "app/main.py", "--server.headless", "true")
    environment: Mapping[str, str] = MappingProxyType({"UNROLLED_HOST_CODE": HOST_CODE})

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        self.log = home / "server.log"

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.command, "--server.port", str(self.port)],
                cwd=ROOT,
                env=os.environ | {"UNROLLED_HOME": str(self.home)} | self.environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the server did not start within a minute"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_stcore/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> float:
        """End it as a process manager does; returns the seconds that it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        return time.monotonic() - started


class HostedServer(Server):
    """The dashboard as it is started for a network."""

    command = ("-m", "app.hosting")


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedServer]:
    """One hosted server for all tests of a file."""
    server = HostedServer(tmp_path_factory.mktemp("hosted"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all browser tests."""
    server = Server(tmp_path_factory.mktemp("home"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all browser tests of a file; Playwright keeps an event loop running while it is open."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_browser(), args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


# Some violations of the Content-Security-Policy are caught by the script that they happen in, and so not told.
TELL_VIOLATIONS = (
    "addEventListener('securitypolicyviolation', e => console.error(e.effectiveDirective, e.blockedURI, e.sourceFile))"
)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a new visitor, 1400 px wide. What the browser's console says must be nothing."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.add_init_script(TELL_VIOLATIONS)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.text} {message.location.get('url', '')}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    # Streamlit itself looks for its server below the page's path first, and says that it sends a click and the strip's message
    # together when they come at the same moment. Its forms are none of the browser's.
    streamlits = ("/_stcore/", "Multiple different fragmentIds detected", "Password field is not contained in a form")
    assert [text for text in said if not any(part in text for part in streamlits)] == []
