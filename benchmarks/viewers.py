"""What a viewer and a run cost a web server: bytes per second of a stream, and processor time and bytes of a worker's news."""

import pickle
import tempfile
import time
from pathlib import Path

import httpx

from app import service
from benchmarks.watched import serve
from demos.registry import get
from lib.backends import open_jobs
from lib.remote_job import RemoteJob
from lib.remote_jobs import RemoteJobs
from lib.settings import parse

LONGER = {"binary-rule": {"epochs": "20"}}  # one epoch would be over too soon
SLUGS = ("echo", "binary-rule", "gates", "story")
SECONDS, RUNS, ASKED, EVERY = 10.0, 20, 50, 0.1


def main() -> None:
    """Measure both, with real runs in a process of their own."""
    with tempfile.TemporaryDirectory() as home:
        jobs = open_jobs("process", Path(home), build="demos.registry.build", config_of="demos.registry.config_of")
        assert isinstance(jobs, RemoteJobs)
        service._jobs = lambda: jobs  # type: ignore[assignment]
        port = serve()
        for slug in SLUGS:
            job = jobs.start(slug, parse(get(slug).config, LONGER.get(slug, {})), "benchmark", speed=50.0)
            while not job.step:
                time.sleep(0.05)
            print(f"{slug}: {_bytes(port, job.id) / SECONDS / 1000:.1f} kB/s for the one viewer of a run of 50 steps/s")
            jobs.stop(job.id)
        echo = parse(get("echo").config, {"epochs": "1000", "series_length": "1000000"})
        for _ in range(RUNS):
            jobs.start("echo", echo, "benchmark", speed=50.0)
        time.sleep(3)
        _print_news(jobs)
        jobs.shutdown()


def _bytes(port: int, run: str) -> int:
    """How much a stream brings in `SECONDS`, after its first frame, which has all that was before."""
    size, until = 0, 0.0
    with httpx.stream("GET", f"http://127.0.0.1:{port}/api/runs/{run}/events", timeout=60) as stream:
        for chunk in stream.iter_raw():
            now = time.monotonic()
            size, until = (0, now + SECONDS) if not until else (size + len(chunk), until)
            if now >= until:
                break
    return size


def _print_news(jobs: RemoteJobs) -> None:
    """What it takes a web server to keep up with runs that nobody watches."""
    (follower,) = jobs._followers
    told, sent, spent, mirrors = 0, 0, 0.0, dict[str, RemoteJob]()
    for _ in range(ASKED):
        time.sleep(EVERY)
        began = time.thread_time()
        news, _, _ = follower.link.call("news", "benchmark", [])
        for each in news:
            if each.about is not None:
                mirrors[each.id] = jobs._new(**each.about, run_id=each.id)
            mirrors[each.id].take(each)
        spent += time.thread_time() - began
        told, sent = told + len(news), sent + len(pickle.dumps(news))
    each = f"{1e6 * spent / told:.0f} µs of the web server's processor and {sent / told:,.0f} bytes"
    print(f"news of a run: {each}, {told / ASKED / EVERY / RUNS:.1f} times a second for each run")


if __name__ == "__main__":
    main()
