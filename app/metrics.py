"""The server's figures in Prometheus's format, for whoever has the host code."""

import asyncio
import base64
import binascii
import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app import host_code, traffic
from app.routes import NEVER
from app.service import jobs

_STARTED = time.monotonic()


class Figures(Collector):
    """What is known of jobs and people at the moment when somebody asks."""

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        report = jobs().report()
        states = GaugeMetricFamily("unrolled_jobs", "Runs in memory by their state.", labels=["state"])
        for state, count in report.states.items():
            states.add_metric([state], count)
        yield states
        gauges = {
            "unrolled_jobs_waiting": ("Runs that wait for their turn or for being compiled.", report.waiting),
            "unrolled_longest_wait_seconds": (
                "How long the one of them waits that waits longest.",
                report.longest_wait,
            ),
            "unrolled_streams": ("Open streams of runs.", traffic.streams.total()),
            "unrolled_sessions": ("Open pages.", traffic.pages.total()),
            "unrolled_visitors": ("Visitors with an open page.", len(traffic.pages)),
            "unrolled_uptime_seconds": ("Since the server started.", time.monotonic() - _STARTED),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value)
        yield CounterMetricFamily("unrolled_steps", "Training steps since the server started.", report.steps)


REGISTRY = CollectorRegistry()
REGISTRY.register(Figures())
REGISTRY.register(traffic.REQUESTS)
ProcessCollector(registry=REGISTRY)  # CPU seconds, memory, open files


async def metrics(request: Request) -> Response:
    """The figures. The code comes as a bearer token or as HTTP Basic's password."""
    if not host_code.configured():
        return PlainTextResponse("There are no figures here, because this server has no host code.", 404)
    given = _given(request.headers.get("authorization", ""))
    try:
        allowed = given is not None and host_code.correct(given, request.client.host if request.client else "")
    except host_code.TooManyAttempts as many:
        return PlainTextResponse(str(many), 429, {"retry-after": str(many.seconds)})
    if not allowed:
        return PlainTextResponse(
            "This needs the host code.", 401, {"www-authenticate": 'Bearer, Basic realm="Unrolled"'}
        )
    body = await asyncio.to_thread(generate_latest, REGISTRY)
    return Response(body, media_type=CONTENT_TYPE_LATEST, headers=NEVER)


ROUTES = [Route("/metrics", metrics, methods=["GET"])]


def _given(authorization: str) -> str | None:
    """The code in this header; None where it has none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        _, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return password
