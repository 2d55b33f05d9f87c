"""The server as it is started for a network: what it refuses, what its answers say to the browser, and its log."""

import json
import os
import subprocess
import sys
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from app import hosting
from app.visitor import COOKIE
from tests.conftest import HOST_CODE, ROOT, HostedServer

TYPED = "my-secret-nickname"


def test_it_does_not_start_with_a_code_that_can_be_guessed(tmp_path: Path) -> None:
    environment = os.environ | {"UNROLLED_HOST_CODE": "short", "UNROLLED_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "app.hosting"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "fewer than 8 characters" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "path",
    ["/", "/echo?epochs=3", "/favicon.png", "/api/plotly.min.js", "/api/runs/nobody", "/_stcore/health", "/healthz"],
)
def test_everything_that_it_sends_is_protected(hosted: HostedServer, path: str) -> None:
    answer = httpx.get(hosted.url + path, headers={"x-forwarded-proto": "https"})
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" in answer.headers
    for header in answer.headers.get_list("set-cookie"):
        for name, cookie in SimpleCookie(header).items():
            assert cookie["samesite"].lower() == "lax" and cookie["secure"], name
            # Streamlit's script must read this one: it sends it back in a header.
            assert cookie["httponly"] or name == "_streamlit_xsrf"


def test_other_peoples_pages_cannot_act_for_a_visitor(hosted: HostedServer) -> None:
    upload = httpx.put(f"{hosted.url}/_stcore/upload_file/session/file", files={"file": b"text"})
    assert (upload.status_code, "XSRF" in upload.text) == (403, True)
    handshake = {
        "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "origin": "https://elsewhere.example.org",
    }  # fmt: skip
    assert httpx.get(f"{hosted.url}/_stcore/stream", headers=handshake).status_code == 403


RUNS = [
    "nobody",
    "x" * 900,
    "%ff%fe",
    "%F0%9F%90%AD",
    "a%2Fb",
    "'%20OR%201=1--",
    "-",
    "%0d%0aa:%20b",
    "~",
    "@3",
]
TRICKS = ["%00", "a%00b", "..%2f..%2fetc%2fpasswd", "..%5c..%5cetc", "%2e%2e", "C:%5c", "x" * 2000]


@pytest.mark.parametrize("rest", ["", "/events", "/events?view=%00&series=%ff"])
def test_a_run_that_was_made_up_is_not_found_and_nothing_breaks(hosted: HostedServer, rest: str) -> None:
    cookies = {COOKIE: "../../forged"}
    with httpx.Client(base_url=hosted.url, cookies=cookies) as client:
        for run in RUNS:
            assert client.get(f"/api/runs/{run}{rest}").status_code == 404, run
        for trick in TRICKS:  # some of these Streamlit or our bounds refuse before
            assert client.get(f"/api/runs/{trick}{rest}").status_code in (400, 404, 414), trick
    assert '"ERROR"' not in hosted.log.read_text()


def test_the_figures_need_the_code(hosted: HostedServer) -> None:
    assert httpx.get(f"{hosted.url}/metrics").status_code == 401
    answer = httpx.get(f"{hosted.url}/metrics", headers={"authorization": f"Bearer {HOST_CODE}"})
    assert 'unrolled_jobs{state="running"} 0.0' in answer.text


def test_the_log_is_json_with_a_line_for_every_request_and_nothing_typed(hosted: HostedServer) -> None:
    httpx.get(f"{hosted.url}/story?text={TYPED}&{TYPED}=1", cookies={COOKIE: TYPED}, headers={"referer": TYPED})
    httpx.get(f"{hosted.url}/api/runs/nobody/events?view={TYPED}")
    handshake = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    with httpx.stream(
        "GET",
        f"{hosted.url}/_stcore/stream?text={TYPED}",
        headers=handshake | {"sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="},
    ) as accepted:
        assert accepted.status_code == 101
    text = hosted.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    requests = [line for line in lines if line["message"] == "request"]
    story = next(line for line in requests if line["path"] == "/story")
    assert (story["method"], story["status"]) == ("GET", 200)
    assert 0 < story["ms"] < 60_000
    assert any("/_stcore/stream" in line["message"] for line in lines), "uvicorn tells of the page"
    assert TYPED not in text


@pytest.mark.parametrize(
    ("name", "cores", "value"),
    [
        # Fifty people for two minutes left 87 MB in the web server with an arena for each thread, and 57 with one.
        ("MALLOC_ARENA_MAX", 2, "1"),
        # Five steps of the gates' default run took 15 ms of processor time with two threads, and 10 with one.
        ("TF_NUM_INTRAOP_THREADS", 1, "1"),
        ("TF_NUM_INTRAOP_THREADS", 2, "1"),
        ("TF_NUM_INTRAOP_THREADS", 16, "15"),
    ],
)
def test_what_its_processes_are_told(monkeypatch: pytest.MonkeyPatch, name: str, cores: int, value: str) -> None:
    begun: list[dict[str, str]] = []
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "execv", lambda *_: begun.append(dict(os.environ)))
    monkeypatch.setattr(os, "chdir", lambda _: None)
    hosting.main()
    os.environ[name] = "4"
    hosting.main()
    assert [each[name] for each in begun] == [value, "4"], "who sets another number has that"
