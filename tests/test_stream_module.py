"""The page's side of the stream (app/static/stream.js), in a browser, with frames that are lost or repeated."""

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from app import frames, routes
from demos.registry import get
from lib.job import Job, State
from tests.conftest import Server

DEMO = get("echo")

# An EventSource that a test feeds by hand.
FAKE = """
() => {
  window.sources = []
  window.EventSource = class extends EventTarget {
    static CLOSED = 2
    constructor(address) { super(); this.address = String(address); this.readyState = 1; window.sources.push(this) }
    close() { this.readyState = 2 }
  }
  window.feed = text => window.sources.at(-1).onmessage({ data: text })
  window.curve = name => {
    const series = window.run.series.get(name)
    return [[...series.step.slice(0, series.count)], [...series.value.slice(0, series.count)]]
  }
}
"""


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A page that follows one run and wants its loss."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/_stcore/health")
    page.evaluate(FAKE)
    page.evaluate(
        """async address => {
          const stream = await import(address)
          window.news = []
          window.listener = news => window.news.push(news.figures)
          window.run = stream.follow("a/run", window.listener)
          window.run.want(["loss"])
          window.leave = () => stream.unfollow(window.run, window.listener)
        }""",
        routes.address("stream.js"),
    )
    page.wait_for_function("() => window.sources.length > 0")
    yield page
    context.close()


def new_job() -> Job:
    job = Job("echo", DEMO.config(), "visitor")
    job.state = State.RUNNING
    job.stream.capacity = 1000
    return job


class Sender:
    """The frames of a job, as a stream sends them."""

    def __init__(self, job: Job) -> None:
        self.job, self.have, self.drawn = job, {}, -1

    def next(self, steps: int) -> str:
        values = np.random.default_rng(self.job.step).random(steps).astype(np.float32)
        self.job.stream.append(self.job.step, {"loss": values})
        self.job.step += steps
        content, self.have, self.drawn = frames.frame(self.job, DEMO, self.have, self.drawn, ["loss"])
        return frames.text(content)


def assert_complete(page: Page, job: Job) -> None:
    step, value = page.evaluate("curve('loss')")
    expected = job.stream.curve("loss")
    np.testing.assert_array_equal(step, expected[0])
    np.testing.assert_array_equal(np.array(value, np.float32), expected[1])


def test_one_connection_for_all_that_is_wanted_at_once(page: Page) -> None:
    page.wait_for_timeout(100)
    assert page.evaluate("sources.map(source => source.address.replace(/.*api/, ''))") == [
        "/runs/a%2Frun/events?series=loss"
    ]


def test_deltas_add_up_also_when_the_stream_is_thinned_and_frames_come_twice(page: Page) -> None:
    job = new_job()
    sender = Sender(job)
    for steps in (1, 5, 300, 800, 7, 1500, 20):
        text = sender.next(steps)
        page.evaluate("feed", text)
        page.evaluate("feed", text)
        assert_complete(page, job)
    assert page.evaluate("sources.length") == 1


def test_a_lost_delta_makes_it_connect_again_and_begin_anew(page: Page) -> None:
    job = new_job()
    sender = Sender(job)
    page.evaluate("feed", sender.next(10))
    sender.next(10)  # lost
    page.evaluate("feed", sender.next(10))
    assert page.evaluate("sources.map(source => source.readyState)") == [2, 1]
    page.evaluate("feed", Sender(job).next(10))
    assert_complete(page, job)


def test_a_series_that_is_wanted_later_is_asked_for(page: Page) -> None:
    page.evaluate("run.want(['loss', 'loss_smooth_30'])")
    page.wait_for_function("() => sources.length == 2")
    assert page.evaluate("sources.at(-1).address").endswith("?series=loss%2Closs_smooth_30")
    page.evaluate("run.want(['loss'])")
    page.wait_for_timeout(100)
    assert page.evaluate("sources.length") == 2


def test_a_connection_that_breaks_is_told_and_tried_again(page: Page) -> None:
    page.evaluate("feed", Sender(new_job()).next(1))
    assert page.evaluate("run.connection") == "open"
    page.evaluate("sources[0].readyState = 0; sources[0].onerror()")
    assert page.evaluate("run.connection") == "lost"
    page.wait_for_function("() => sources.length == 2", timeout=3000)
    page.evaluate("sources[1].dispatchEvent(new Event('beat'))")
    assert page.evaluate("run.connection") == "open"


def test_a_run_that_the_server_does_not_have_is_given_up(page: Page) -> None:
    page.evaluate("window.fetch = () => Promise.resolve({ status: 404 })")
    page.evaluate("sources[0].readyState = 2; sources[0].onerror()")
    page.wait_for_function("() => run.connection == 'gone'", timeout=3000)
    assert page.evaluate("sources.length") == 1


def test_the_stream_is_closed_when_nobody_follows_it(page: Page) -> None:
    page.evaluate("leave()")
    page.wait_for_function("() => sources[0].readyState == 2", timeout=3000)


STRIP = """
async ([address, html, status]) => {
  const { Status } = await import(address)
  document.body.innerHTML = html
  const strip = new Status(document.querySelector(".unrolled-status"))
  strip.update({ run: null, event: "", status, labels: {} }, () => {})
  return document.querySelector("[data-part=message]").textContent
}
"""


@pytest.mark.parametrize(
    ("state", "place", "people", "seconds", "said"),
    [
        (State.QUEUED, 1, 0, None, "1st in the queue to be compiled."),
        (State.QUEUED, 23, 0, None, "23rd in the queue to be compiled."),
        (State.RUNNING, 0, 8, 0.4321, "8 people take turns; this run’s turn comes every 0.4 s."),
        (State.RUNNING, 0, 2, 3.2, "2 people take turns; this run’s turn comes every 3 s."),
        (State.RUNNING, 0, 1, 0.2, ""),
        (State.PAUSED, 0, 8, 0.4, ""),
    ],
)
def test_the_strip_says_where_a_run_stands_among_others(
    page: Page, state: State, place: int, people: int, seconds: float | None, said: str
) -> None:
    job = new_job()
    job.state, job.place, job.people, job.pace.turn_seconds = state, place, people, seconds
    html = (routes.STATIC / "status.html").read_text(encoding="utf-8")
    assert page.evaluate(STRIP, [routes.address("status.js"), html, frames.status(job, DEMO)]) == said
