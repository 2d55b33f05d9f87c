"""What a client that reads the stream as fast as it comes costs a run at full speed: the same run watched and not, in turn."""

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from app import routes, service
from demos.registry import get
from lib.jobs import Jobs
from lib.store import Store

PAIRS = 8
CLIENT = """
import sys, urllib.request
print("reading", flush=True)
size = 0
with urllib.request.urlopen(sys.argv[1]) as stream:
    for line in stream:
        size += len(line)
        print(size, flush=True)
"""


def main() -> None:
    """Print the seconds of training of each pair, and the median loss."""
    with tempfile.TemporaryDirectory() as home:
        jobs = Jobs(Store(Path(home)), build=lambda s, c: get(s).build(c), config_of=lambda s: get(s).config)
        service._jobs = lambda: jobs  # type: ignore[assignment]
        port = serve()
        _seconds(jobs, port, watched=False)
        losses = []
        for _ in range(PAIRS):
            alone, watched = (_seconds(jobs, port, watched=flag) for flag in (False, True))
            losses.append(100 * (watched / alone - 1))
            print(f"unwatched {alone:.2f} s, watched {watched:.2f} s: {losses[-1]:+.1f} %", flush=True)
        print(f"median {statistics.median(losses):+.1f} %")
        routes.stopping.set()
        jobs.shutdown()


def serve() -> int:
    """Serve the streams of `service.jobs`: the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes.ROUTES), port=port, log_level="error"))
    threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return port


def _seconds(jobs: Jobs, port: int, *, watched: bool) -> float:
    """Wall time from the first step to the last of a run of 1,000 epochs at full speed."""
    job = jobs.start("echo", get("echo").config(epochs=1000), "visitor", paused=True)
    while job.state != "paused":
        time.sleep(0.005)
    reader = None
    if watched:
        address = f"http://127.0.0.1:{port}/api/runs/{job.id}/events"
        reader = subprocess.Popen([sys.executable, "-c", CLIENT, address], stdout=subprocess.PIPE, text=True)
        assert reader.stdout is not None
        reader.stdout.readline(), reader.stdout.readline()
    started = time.perf_counter()
    jobs.resume(job.id)
    while job.active:
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    if reader is not None:
        reader.terminate()
        sizes = [int(line) for line in reader.communicate()[0].split()]
        assert len(sizes) > 10, "the client has read next to nothing"
    return seconds
