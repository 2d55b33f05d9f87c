"""Opens every page with its tabs and sections, and makes every file, in a process that cannot import TensorFlow.

`python -m tests.pages_without_tensorflow`, with UNROLLED_HOME an empty folder and a code in UNROLLED_HOST_CODE. There is a
run of each demo that has ended, a sweep of each, and a room. `Jobs.compute` runs in a second process, which has TensorFlow.
"""

import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.abc import MetaPathFinder
from itertools import chain
from multiprocessing import get_context
from typing import Any
from unittest.mock import patch

VISITOR = "somebody-whose-runs-have-ended"
BANNED = {"tensorflow", "keras"}


class Banned(MetaPathFinder):
    """Refuses TensorFlow, and notes who asked for it: a page may catch what this raises."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> None:
        """Raises ImportError for what is banned."""
        if name.partition(".")[0] in BANNED:
            self.asked.append("".join(traceback.format_stack()))
            raise ImportError(f"{name} is imported outside of Jobs.compute")


def main() -> None:
    """Ends with an error that names the page where one fails or asks for TensorFlow."""
    banned = Banned()
    sys.meta_path.insert(0, banned)
    with ProcessPoolExecutor(1, get_context("spawn")) as trainer:
        begin(trainer)
        for what in chain(opened_pages(), asked_routes()):
            assert not banned.asked, f"{what} imports TensorFlow:\n{banned.asked[0]}"


def begin(trainer: ProcessPoolExecutor) -> None:
    """The server, whose jobs compute in `trainer`, and which does without a click what AppTest clicks on nowhere."""
    from demos.warm_up import import_tensorflow

    trainer.submit(import_tensorflow)  # while all else is imported here
    from streamlit.runtime.media_file_manager import MediaFileManager

    import app.main  # noqa: F401
    from app import runs_page
    from lib.jobs import Jobs

    def compute(jobs: Jobs, function: Any, *arguments: Any) -> Any:
        return trainer.submit(function, *arguments).result()

    def add_deferred(manager: Any, make: Any, *settings: Any, **more: Any) -> Any:
        assert make(), "a file of nothing"
        return add_file(manager, make, *settings, **more)

    def tick_all(records: Any) -> Any:
        return draw_table(records) or records

    add_file, draw_table = MediaFileManager.add_deferred, runs_page._table
    patch.object(Jobs, "compute", compute).start()
    patch.object(Jobs, "compute_everywhere", compute).start()
    patch.object(MediaFileManager, "add_deferred", add_deferred).start()
    patch.object(runs_page, "_table", tick_all).start()
    fill(trainer)


def fill(trainer: ProcessPoolExecutor) -> None:
    """All that pages can show. The newest run, which is the one that is exported and shown to the room, is echo's."""
    from app import host_code, service
    from demos.registry import DEMOS
    from lib.records import HostRecord
    from tests.ended_runs import ended_run, ended_sweep

    store, rooms = service.jobs().store, service.rooms()
    store.keep(HostRecord(VISITOR, host_code.proof(VISITOR), time.time()))
    room = rooms.open("A class")
    rooms.join(room.code, VISITOR, "Ada")
    rooms.map(room.id, "echo", "echo_step", "state_size")
    for run in [trainer.submit(ended_run, demo.slug, VISITOR) for demo in reversed(DEMOS)]:
        record, arrays = run.result()
        store.save(record, arrays)
        rooms.show(room.id, record.id)
    for demo in DEMOS:
        store.save_sweep(ended_sweep(demo, VISITOR))


def opened_pages() -> Iterator[str]:
    """The name of each page that was drawn, and of its tabs and sections."""
    from app import service

    home = opened()
    yield drawn(home, "home")
    runs = {run.slug: run.id for run in service.jobs().runs_of(VISITOR, None, 99)}
    places = {info["url_pathname"]: key for key, info in home._registered_pages.items() if info["url_pathname"]}
    assert {*runs, "runs", "inside", "room", "host"} <= places.keys()
    for place, key in places.items():
        for run_id in runs.values() if place == "inside" else [runs.get(place, "")]:
            yield from parts(place, opened(key, run_id))


def opened(key: str = "", run_id: str = "") -> Any:
    """The page that Streamlit knows by this key, for a run; AppTest's own way is for pages that are files."""
    from streamlit.testing.v1 import AppTest

    made: Any = AppTest.from_file("../app/entry.py", default_timeout=60)
    made.session_state["visitor"], made.query_params["run"], made._page_hash = VISITOR, run_id, key
    return made.run()


def parts(place: str, page: Any) -> Iterator[str]:
    """Open each tab and each section."""
    yield drawn(page, place)
    for tab in page.tabs if f"{place}/tabs" in page.session_state else ():
        page.session_state[f"{place}/tabs"] = tab.label
        yield drawn(page.run(), f"{place}, {tab.label}")
    for control in (control for control in page.segmented_control if control.key.endswith("/section")):
        for name in control.options:
            yield drawn(page.segmented_control(key=control.key).set_value(name).run(), f"{place}, {name}")


def drawn(page: Any, what: str) -> str:
    """What was drawn, if nothing went wrong."""
    assert not page.exception, (what, page.exception[0].message, page.exception[0].stack_trace)
    return what


def asked_routes() -> Iterator[str]:
    """What the server's own routes are asked for, and what the streams of pictures and the warming up do."""
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    from app import frames, health, metrics, routes, service, warm_up
    from demos.registry import get
    from lib.inside import View
    from lib.inside_figures import FIGURES

    client = TestClient(Starlette(routes=[*health.ROUTES, *metrics.ROUTES, *routes.ROUTES]))
    jobs = [service.jobs().get(run.id) for run in service.jobs().runs_of(VISITOR, None, 99)]
    rooms = [key for room in service.rooms().all() for key in (room.id, room.wall)]
    for key in [*rooms, *(job.id for job in jobs if job)]:
        assert client.get(f"/api/runs/{key}").status_code == 200
        yield f"/api/runs/{key}"
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path, auth=("", os.environ["UNROLLED_HOST_CODE"])).status_code == 200
        yield path
    for job in filter(None, jobs):
        frames.inside_frame(job, get(job.slug), View(), tuple(FIGURES))
        yield f"the pictures of what goes on inside {job.slug}"
    assert warm_up._tensorflow_is_safe()
    yield "warming up"


if __name__ == "__main__":
    main()
