"""The list of demos."""

import re

import pytest

from demos.registry import DEMOS, Demo, UnknownDemoError, get
from lib.settings import Config, live_values, replace


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_an_entry_says_what_a_card_shows(demo: Demo) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", demo.slug)
    assert demo.title and demo.summary.endswith(".") and demo.see.endswith(".")
    assert demo.minutes > 0
    assert re.fullmatch(r":material/[a-z0-9_]+:", demo.icon)


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_an_entry_finds_its_settings(demo: Demo) -> None:
    assert issubclass(demo.config, Config)
    assert demo.config.__module__ == f"{demo.package}.config"
    first, *rest = demo.presets.values()
    assert first == demo.config()
    assert all(type(preset) is demo.config for preset in rest)
    assert len({preset.model_dump_json() for preset in demo.presets.values()}) == len(demo.presets), (
        "two presets are alike"
    )


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_an_entry_finds_its_modules(demo: Demo) -> None:
    for module in (demo.theory, demo.figures, demo.lessons):
        assert module.__name__.startswith(f"{demo.package}.")


def test_slugs_are_unique() -> None:
    assert len({demo.slug for demo in DEMOS}) == len(DEMOS)


def test_get_finds_a_demo_by_its_slug() -> None:
    assert all(get(demo.slug) is demo for demo in DEMOS)


@pytest.mark.parametrize(
    ("slug", "message"),
    [
        ("ecko", "ecko is not a demo: did you mean echo?"),
        ("", "'' is not a demo: choose one of echo"),
        ("a\nb", r"`a\nb` is not a demo: choose one of echo"),
    ],
)
def test_an_unknown_slug_is_one_line_with_a_remedy(slug: str, message: str) -> None:
    with pytest.raises(UnknownDemoError, match=re.escape(message)) as caught:
        get(slug)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_a_live_setting_that_a_chart_shows_is_named(demo: Demo) -> None:
    """When another is moved, the page is not drawn again."""
    config = demo.config()
    for name in live_values(config):
        moved = replace(config, **{name: 0.5 * getattr(config, name) + 0.001})
        changed = any(curve.figure(config) != curve.figure(moved) for curve in demo.figures.CURVES)
        assert changed == (name in getattr(demo.figures, "SHOWN_LIVE", ())), name
