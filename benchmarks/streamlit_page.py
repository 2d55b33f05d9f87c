"""A page of a Streamlit server as a browser has it open: the websocket, what is drawn on it, and what a person does to it.

It speaks the protocol of Streamlit's own script: a `BackMsg` with triggers and values goes out, and the script's run comes
back as `new_session`, deltas, and `script_finished`. A browser sends the values of all widgets each time; here it is those
that were moved, because Streamlit remembers the others.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

NO_TOKEN = "PLACEHOLDER_AUTH_TOKEN"  # what Streamlit's script sends where it has none
OPEN_SECONDS = 60.0
UNANSWERED_SECONDS = 1.0  # after which a component's message counts as overtaken
COMPONENT = "bidi_component"
KEPT_RUNS = 2  # for so many runs of the script a browser keeps a large element that is not on the page


class Drawn(NamedTuple):
    """An element, the run of the script that drew it last, the fragment that it is in, and what one of ours was given."""

    element: Any
    run: str
    fragment: str
    data: dict[str, Any]


class Page:
    """One page. `on_trouble` is told of what it shows in red, `on_drawn` is called when the script has run."""

    def __init__(self, url: str, name: str, on_trouble: Callable[[str], None], on_drawn: Callable[[], None]) -> None:
        self.url, self.name = url, name
        self._on_trouble, self._on_drawn = on_trouble, on_drawn
        self.socket: ClientConnection | None = None
        self.running = False
        self._session = self._hash = self._query = self._run = self._tabs = ""
        self._pages: dict[str, str] = {}  # the hash of each by its name
        self._drawn: dict[tuple[int, ...], Drawn] = {}
        self._values: dict[str, WidgetState] = {}
        self._kept: dict[str, tuple[Any, int]] = {}  # large elements by their hash, which are sent only once
        self._runs: Counter[str] = Counter()  # that have begun of each fragment, and of the whole script: ""
        self._told_at = 0.0
        self._waiting: dict[asyncio.Future[None], dict[str, int]] = {}  # for one run more of any of these

    async def open(self, cookies: dict[str, str]) -> None:
        """Connect, after a broken connection with the same session, and have the script run."""
        protocols = ["streamlit", cookies.get("_streamlit_xsrf", NO_TOKEN), *filter(None, [self._session])]
        self.socket = await connect(
            self.url.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=protocols,  # type: ignore[arg-type]
            origin=self.url,  # type: ignore[arg-type]
            additional_headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
            open_timeout=OPEN_SECONDS, max_size=None, ping_interval=None,
        )  # fmt: skip
        await self._ask()

    async def listen(self) -> None:
        """Take what the server sends until the connection is closed."""
        assert self.socket is not None
        try:
            async for data in self.socket:
                message = ForwardMsg()
                message.ParseFromString(data)  # type: ignore[arg-type]
                self._receive(message)
        finally:
            self.running, self._told_at = False, 0.0
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(ConnectionResetError("the page's connection broke"))

    async def leave(self) -> None:
        """Close it. When it is opened again it is a new session, as after a reload."""
        self._session = self._hash = ""
        self._drawn.clear()
        self._values.clear()
        self._kept.clear()
        if self.socket is not None:
            await self.socket.close()

    @property
    def drawn(self) -> bool:
        """Whether there is anything on it."""
        return bool(self._drawn)

    # What a person sees and does

    def elements(self, kind: str) -> Iterator[Any]:
        """What is on the page of this kind, in the order of the page."""
        for _, drawn in sorted(self._drawn.items()):
            if drawn.element.WhichOneof("type") == kind:
                yield getattr(drawn.element, kind)

    def widget(self, kind: str, label: str) -> Any:
        """The first widget with this label that can be used, None when there is none."""
        return next((each for each in self.elements(kind) if each.label == label and not each.disabled), None)

    async def click(self, label: str) -> None:
        """Press a button, and wait until the script has run."""
        button = self.widget("button", label)
        if button is None:
            raise LookupError(f"the page {self.name} has no button {label!r} that can be pressed")
        await self._act(WidgetState(id=button.id, trigger_value=True))

    def fill(self, label: str, text: str) -> None:
        """Type into a field. A form sends it with its button."""
        field = self.widget("text_input", label)
        if field is None:
            raise LookupError(f"the page {self.name} has no field {label!r}")
        self._values[field.id] = WidgetState(id=field.id, string_value=text)

    async def turn_to(self, tab: str) -> None:
        """Open one of the page's tabs, and wait until the script has run."""
        self._values[self._tabs] = WidgetState(id=self._tabs, string_value=tab)
        await self._act()

    async def go(self, name: str) -> None:
        """Go to another page by its link, and wait until the script has run."""
        self.name, self._hash, self._query = name, self._pages[name], ""
        await self._act()

    async def slide(self, label: str, by: int) -> None:
        """Move a slider of named stops, and wait until the script has run."""
        slider = self.widget("slider", label)
        if slider is None:
            raise LookupError(f"the page {self.name} has no slider {label!r}")
        before = self._values.get(slider.id)
        at = list(slider.options).index(before.string_array_value.data[0]) if before else int(slider.default[0])
        to = at + by if 0 <= at + by < len(slider.options) else at - by
        state = WidgetState(id=slider.id)
        state.string_array_value.data.append(slider.options[to])
        self._values[slider.id] = state
        await self._act(fragment=self._fragment(slider))

    def _fragment(self, widget: Any) -> str:
        """That it is in, which is all that runs again when it is moved; "" where it is in none."""
        elements = ((getattr(d.element, d.element.WhichOneof("type")), d.fragment) for d in self._drawn.values())
        return next(fragment for element, fragment in elements if getattr(element, "id", None) == widget.id)

    async def _act(self, *triggers: WidgetState, fragment: str = "") -> None:
        """A message that was sent just before would run the script as well, and its run be taken for this one's."""
        while self._told_at and time.monotonic() - self._told_at < UNANSWERED_SECONDS:
            await asyncio.sleep(0.01)
        done = asyncio.get_running_loop().create_future()
        self._waiting[done] = {name: self._runs[name] for name in ("", fragment)}
        try:
            await self._ask(*triggers, fragment=fragment)
            await done
        finally:
            del self._waiting[done]

    # What the page's own components do

    def components(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Ours, with the data that the script gave them."""
        for _, drawn in sorted(self._drawn.items()):
            if drawn.element.WhichOneof("type") == COMPONENT:
                yield drawn.element.bidi_component, drawn.data

    async def tell(self, component: Any, event: str, value: str) -> None:
        """A component's message to the script."""
        self._told_at = time.monotonic()
        await self._ask(_message(component, event, value), fragment=self._fragment(component))

    async def press(self, component: Any, event: str, value: str) -> None:
        """Press a button in a component that is in no fragment, and wait until the script has run."""
        await self._act(_message(component, event, value))

    async def _ask(self, *triggers: WidgetState, fragment: str = "") -> None:
        """Ask for a run of the script."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash, state.fragment_id = self._query, self._hash, fragment
        state.page_name = "" if self._hash else self.name
        state.widget_states.widgets.extend([*self._values.values(), *triggers])
        state.cached_message_hashes.extend(self._kept)
        state.context_info.timezone, state.context_info.locale = "UTC", "en-US"
        state.context_info.url = f"{self.url}/{self.name}"
        assert self.socket is not None
        await self.socket.send(message.SerializeToString())

    # What the server says

    def _receive(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._begin(message)
        elif kind == "delta" and message.delta.add_block.tab_container.id:
            self._tabs = message.delta.add_block.tab_container.id
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            if message.metadata.cacheable:
                self._kept[message.hash] = (message.delta, self._runs[""])
            self._draw(message.delta, message.metadata)
        elif kind == "ref_hash":
            delta, _ = self._kept[message.ref_hash]
            self._kept[message.ref_hash] = (delta, self._runs[""])
            self._draw(delta, message.metadata)
        elif kind == "navigation":
            self._hash = message.navigation.page_script_hash
            self._pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "page_not_found":
            self._on_trouble(f"there is no page {self.name}")
        elif kind == "session_event" and message.session_event.HasField("script_compilation_exception"):
            self._on_trouble(message.session_event.script_compilation_exception.message)
        elif kind == "script_finished":
            self._end(message)

    def _begin(self, message: ForwardMsg) -> None:
        self._session = message.new_session.initialize.session_id or self._session
        self._run, self.running = message.metadata.run.script_run_id, True
        parts = message.metadata.run.fragment_ids
        self._runs.update(parts or [""])
        if not parts:
            self._told_at = 0.0

    def _draw(self, delta: Any, metadata: Any) -> None:
        element = delta.new_element
        kind = element.WhichOneof("type")
        data = orjson.loads(element.bidi_component.json or "{}") if kind == COMPONENT else {}
        self._drawn[tuple(metadata.delta_path)] = Drawn(element, self._run, delta.fragment_id, data)
        if kind == "exception":
            self._on_trouble(f"{element.exception.type}: {element.exception.message}")
        elif kind == "alert" and element.alert.format == Alert.ERROR:
            self._on_trouble(f"{element.alert.title} {element.alert.body}".strip())
        elif kind == "toast" and "error" in element.toast.icon:
            self._on_trouble(element.toast.body)

    def _end(self, message: ForwardMsg) -> None:
        run = message.metadata.run
        self.running = False
        if message.script_finished in (ForwardMsg.FINISHED_EARLY_FOR_RERUN, ForwardMsg.FINISHED_WITH_COMPILE_ERROR):
            return
        of_part = set(run.fragment_ids)
        stale = [
            path for path, drawn in self._drawn.items()
            if drawn.run != run.script_run_id and (not of_part or drawn.fragment in of_part)
        ]  # fmt: skip
        for path in stale:
            del self._drawn[path]
        if not of_part and run.script_run_id == self._run:
            self._kept = {name: kept for name, kept in self._kept.items() if kept[1] >= self._runs[""] - KEPT_RUNS}
        # Where a fragment's run follows at once, Streamlit does not say that the one before has ended.
        for waiting, before in self._waiting.items():
            if any(self._runs[name] > runs for name, runs in before.items()) and not waiting.done():
                waiting.set_result(None)
        self._on_drawn()


def _message(component: Any, event: str, value: str) -> WidgetState:
    name = f"$$STREAMLIT_INTERNAL_KEY_{component.id}__events"
    return WidgetState(id=name, json_trigger_value=json.dumps([{"event": event, "value": value}]))
