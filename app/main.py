"""The server: `streamlit run app/main.py`. The pages' script is app/entry.py."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:  # Streamlit puts this file's folder on the path, not the project's
    sys.path.insert(0, ROOT)

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from app import health, logs, metrics, routes, service, startup_check, warm_up  # noqa: E402
from app.bounds import Bounds  # noqa: E402
from app.flush import flush_in_few_turns, send_without_delay  # noqa: E402
from app.headers import SecurityHeaders  # noqa: E402
from app.hosting import hosted  # noqa: E402
from app.lighter import look_up_options_at_once, look_up_single_values, read_the_theme_once  # noqa: E402
from app.packed import PackedFiles  # noqa: E402
from app.traffic import Traffic  # noqa: E402
from app.unknown_fragments import let_all_of_the_page_run  # noqa: E402
from app.visitor import VisitorCookie  # noqa: E402
from lib.backends import BackendError  # noqa: E402
from lib.backends import check as check_backend  # noqa: E402

if hosted():
    logs.begin()
try:
    startup_check.check()
    startup_check.check_hosting()
    check_backend(service.backend())
except (startup_check.UnsafeSettingsError, BackendError) as unsafe:
    sys.exit(str(unsafe))


flush_in_few_turns()
send_without_delay()
look_up_single_values()
read_the_theme_once()
look_up_options_at_once()
let_all_of_the_page_run()


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Import TensorFlow beside the first visitors, and end streams and jobs in good order."""
    routes.end_streams_on_signals()
    # The pictures' matrix products are small, and visitors come side by side: threads of their own would fight for the cores.
    threadpool_limits(1, user_api="blas")
    service.sweeps()  # runs of the server before are there for the first visitor
    warm_up.start()
    closing = asyncio.create_task(service.close_idle_rooms())
    try:
        yield
    finally:
        closing.cancel()
        routes.stopping.set()
        service.shutdown()


app = st.App(
    "entry.py",
    routes=[*routes.ROUTES, *health.ROUTES, *metrics.ROUTES],
    # The first is outermost.
    middleware=[Middleware(part) for part in (Traffic, SecurityHeaders, PackedFiles, Bounds, VisitorCookie)],
    lifespan=lifespan,
)
