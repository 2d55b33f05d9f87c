"""Milliseconds until a small answer is there, over a connection that is kept open, as a browser's are."""

import statistics
import tempfile
import time
from pathlib import Path

import httpx

from tests.conftest import Server

COUNT = 40


def main() -> None:
    """Print the median of a page's own routes and of one of Streamlit's files."""
    with tempfile.TemporaryDirectory() as home:
        server = Server(Path(home))
        server.start()
        try:
            with httpx.Client(base_url=server.url) as client:
                page = client.get("/echo", headers={"accept": "text/html"}).text
                file = page.partition('src="./')[2].partition('"')[0]
                for path in ("/healthz", f"/{file}"):
                    print(f"{path}: {statistics.median(_milliseconds(client, path) for _ in range(COUNT)):.1f} ms")
        finally:
            server.stop()


def _milliseconds(client: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    client.get(path).raise_for_status()
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
