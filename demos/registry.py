"""The list of demos. Importing it, or asking for anything but `build`, loads no TensorFlow."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from lib.settings import Config
from lib.values import shown


class UnknownDemoError(LookupError):
    """No demo has this slug. Its text is one line with the slugs that there are."""


@dataclass(frozen=True)
class Demo:
    """A demo's entry in the list. Its modules are imported when they are first asked for.

    The package has the modules config (CONFIG, PRESETS, SWEEPS, SWEEP_BASE), data, task (build), theory (see
    lib.theory), figures and lessons.
    """

    slug: str  # the page's path and the command line's name
    title: str
    summary: str  # what the network has to do
    see: str  # what one will see
    minutes: int  # how long a person spends with it
    icon: str  # a Material symbol, as in ":material/graphic_eq:"
    package: str
    kept: bool = False  # its runs without a page are kept as well: they take long

    @property
    def config(self) -> type[Config]:
        """The class of its settings."""
        config_class: type[Config] = self._module("config").CONFIG
        return config_class

    @property
    def presets(self) -> Mapping[str, Config]:
        """Named settings; the first are the defaults."""
        presets: Mapping[str, Config] = self._module("config").PRESETS
        return presets

    @property
    def sweeps(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """The sweeps that the page offers: pairs of axes, each a setting's name and its values as a text."""
        sweeps: Mapping[str, Sequence[tuple[str, str]]] = self._module("config").SWEEPS
        return sweeps

    @property
    def sweep_base(self) -> Config:
        """The settings that sweeps start from: runs of a length that a sweep can afford, and several seeds."""
        base: Config = self._module("config").SWEEP_BASE
        return base

    @property
    def theory(self) -> ModuleType:
        """The loss before anything is learned, the least possible, and which settings are within reach."""
        return self._module("theory")

    @property
    def figures(self) -> ModuleType:
        """The charts, as functions from arrays to Plotly JSON."""
        return self._module("figures")

    @property
    def lessons(self) -> ModuleType:
        """The coach's advice and the guided experiments."""
        return self._module("lessons")

    @property
    def keras_script(self) -> ModuleType | None:
        """script(config, changes, step): a run as a plain Keras program of its own, where the demo has one."""
        return self._optional("keras_script")

    @property
    def inside(self) -> ModuleType | None:
        """What there is to look at inside a network (see lib.reading), where the demo has it."""
        return self._optional("inside")

    @property
    def words(self) -> ModuleType | None:
        """What there is to read with a language model, and to let it write, where the demo is one (see demos.ptb.words)."""
        return self._optional("words")

    @property
    def workshop(self) -> ModuleType | None:
        """What there is to take apart, piece by piece, where the demo has it (see demos.from_scratch.workshop)."""
        return self._optional("workshop")

    def brought(self, settings: dict[str, str]) -> dict[str, str]:
        """The settings of a command line, after the demo has taken in what some of them bring along (files, say)."""
        bring = getattr(self._module("config"), "bring", None)
        return bring(settings) if bring else settings

    def build(self, config: Config) -> Any:
        """The engine that trains with these settings. The first call imports TensorFlow: seconds."""
        return self._module("task").build(config)

    def _module(self, name: str) -> ModuleType:
        return import_module(f"{self.package}.{name}")

    def _optional(self, name: str) -> ModuleType | None:
        return self._module(name) if find_spec(f"{self.package}.{name}") else None


DEMOS: tuple[Demo, ...] = (
    Demo(
        slug="echo",
        title="Echo",
        summary="A network reads random bits and must repeat them a few steps later.",
        see="The loss falls from chance to almost nothing, and you see the hidden state, which must keep the bits.",
        minutes=5,
        icon=":material/graphic_eq:",
        package="demos.echo",
    ),
    Demo(
        slug="binary-rule",
        title="Binary rule",
        summary="A network reads random bits and must find the hidden rule by which two of them decide a target.",
        see="The loss falls and the accuracy rises to the bounds of what can be known, and you see what it says in each context.",
        minutes=8,
        icon=":material/rule:",
        package="demos.binary_rule",
    ),
    Demo(
        slug="gates",
        title="Inside the LSTM",
        summary="A network must recall a marked letter, follow brackets or read fables, and you look inside while it learns.",
        see="Every gate of every unit at every step, with real numbers; then intervene and see what breaks.",
        minutes=15,
        icon=":material/memory:",
        package="demos.gates",
    ),
    Demo(
        slug="story",
        title="Story generator",
        summary="A network reads three words of a fable and must say the next, until it knows the fable by heart.",
        see="The words of the story turn green as it learns them, up to the text's own ceiling; then it tells stories to you.",
        minutes=10,
        icon=":material/auto_stories:",
        package="demos.story",
    ),
    Demo(
        slug="ptb",
        title="Perplexity",
        summary="A network reads text word by word and must say which word comes next.",
        see="Perplexity falls towards a lower bound or published results, and every word shows how surprising it was.",
        minutes=15,
        icon=":material/menu_book:",
        package="demos.ptb",
        kept=True,
    ),
    Demo(
        slug="from-scratch",
        title="From scratch",
        summary="A network learns to say which word comes next, in a hundred lines of NumPy that you read as they run.",
        see="From text to numbers, forward and back; plant a bug and catch it; then race NumPy against TensorFlow.",
        minutes=20,
        icon=":material/construction:",
        package="demos.from_scratch",
    ),
)


def get(slug: str) -> Demo:
    """The demo with this slug. Raises UnknownDemoError."""
    table = {demo.slug: demo for demo in DEMOS}
    if slug in table:
        return table[slug]
    near = difflib.get_close_matches(slug[:40], table, n=1)
    hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(table)}."
    raise UnknownDemoError(f"{shown(slug)} is not a demo: {hint}")


def build(slug: str, config: Config) -> Any:
    """The engine that trains a demo with these settings."""
    return get(slug).build(config)


def config_of(slug: str) -> type[Config]:
    """The class of a demo's settings."""
    return get(slug).config
