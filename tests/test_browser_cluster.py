"""Two servers on one PostgreSQL database behind nginx, as deploy/nginx.conf sets it up: any server shows any run."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import HOST_CODE, ROOT, HostedServer
from tests.install_servers import nginx
from tests.postgres import Cluster
from tests.test_browser import button, step_now, wait_for_state

expect.set_options(timeout=30_000)


class SharingServer(HostedServer):
    """One of several hosted servers."""

    def __init__(self, home: Path, store: str) -> None:
        home.mkdir()
        super().__init__(home)
        self.environment: Mapping[str, str] = {
            **HostedServer.environment,
            "UNROLLED_STORE": store,
            "STREAMLIT_SERVER_COOKIE_SECRET": "the same for all",
            "STREAMLIT_SERVER_ALLOWED_ORIGINS": "[]",
        }

    def steps(self) -> float:
        """How many steps it has trained."""
        figures = httpx.get(f"{self.url}/metrics", auth=("", HOST_CODE)).text
        return float(re.search(r"^unrolled_steps_total (\S+)$", figures, re.MULTILINE).group(1))  # type: ignore[union-attr]

    def watch(self, run: str, frames: int) -> list[int]:
        """The steps that its stream of a run tells."""
        found: list[int] = []
        with httpx.stream("GET", f"{self.url}/api/runs/{run}/events", timeout=60) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: {"):
                    found.append(json.loads(line.removeprefix("data: "))["step"])
                if len(found) == frames:
                    return found
        raise AssertionError(found)


@pytest.fixture
def servers(cluster: Cluster, database: str, tmp_path: Path) -> Iterator[list[SharingServer]]:
    store = cluster.address(database)
    servers = [SharingServer(tmp_path / name, store) for name in ("one", "two")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(SharingServer.start, servers))
    yield servers
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture
def proxy(servers: list[SharingServer], tmp_path: Path) -> Iterator[str]:
    """Our example, without TLS, for these servers: its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = (ROOT / "deploy" / "nginx.conf").read_text()
    settings = re.sub(r"server \{\s+listen 80;.*?\n\}\n", "", settings, flags=re.DOTALL)
    settings = re.sub(r"listen (443|\[::\]:443) ssl http2;", "", settings)
    settings = re.sub(r"ssl_\w+ [^;]+;|server_name [^;]+;", "", settings)
    settings = settings.replace("/var/log/nginx", str(tmp_path)).replace("/var/cache", str(tmp_path))
    listed = "".join(f"server 127.0.0.1:{server.port} max_fails=2 fail_timeout=5s;" for server in servers)
    settings = re.sub(r"server 127\.0\.0\.1:8501[^;]*;", listed, settings)
    settings = settings.replace("access_log", f"listen 127.0.0.1:{port};\n    access_log", 1)
    (tmp_path / "site.conf").write_text(settings)
    main = f"daemon off; pid {tmp_path}/pid; events {{}}\nhttp {{ include {tmp_path}/site.conf;"
    main += "".join(f" {part}_temp_path {tmp_path};" for part in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root; " if os.geteuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(f"{user}{main} }}\n")
    program = nginx()
    assert program is not None, "nginx is not installed: run `make test`, or python -m tests.install_servers"
    process = subprocess.Popen([program, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"])
    deadline = time.monotonic() + 30
    address = f"http://localhost:{port}"
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/healthz").status_code == 200:
                break
        except httpx.TransportError:
            time.sleep(0.05)
    else:
        raise AssertionError((tmp_path / "error.log").read_text())
    yield address
    process.terminate()
    process.wait(timeout=30)


def test_any_server_shows_a_run_and_nothing_is_lost_with_one(
    browser: Browser, proxy: str, servers: list[SharingServer]
) -> None:
    page = browser.new_page()  # whose console may tell of the server that ends
    asked: list[str] = []
    page.on("request", lambda request: asked.extend(re.findall(r"/api/runs/(\w+)/events", request.url)))
    page.goto(f"{proxy}/echo?epochs=1000&series_length=100000")
    button(page, "Start").click()
    wait_for_state(page, "running")
    run = asked[-1]
    trains, watches = sorted(servers, key=SharingServer.steps, reverse=True)
    assert watches.steps() == 0 < trains.steps()
    told = watches.watch(run, 5)
    assert told == sorted(told) and told[-1] > told[0]
    seen = step_now(page)
    trains.stop()
    wait_for_state(page, "paused")
    assert step_now(page) >= seen
    expect(page.get_by_text(re.compile("Its process has ended, at step"))).to_be_visible()
    button(page, "Resume").click()
    wait_for_state(page, "running")
    assert watches.steps() > 0
    assert watches.watch(run, 2)[-1] > seen
    page.close()
