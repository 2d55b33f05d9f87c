"""What every chart must be: legal Plotly JSON of plain values, with a text alternative and no colours of the theme's."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go


def leaves(value: Any) -> Iterator[Any]:
    """Every value inside nested dicts and lists, and every key."""
    if isinstance(value, dict):
        yield from itertools.chain.from_iterable(leaves(item) for pair in value.items() for item in pair)
    elif isinstance(value, list | tuple):
        yield from itertools.chain.from_iterable(leaves(item) for item in value)
    else:
        yield value


def check(figure: dict[str, Any]) -> None:
    """Every key is legal, every value is plain, it survives JSON, and it has a text alternative."""
    go.Figure(figure)
    assert {type(leaf) for leaf in leaves(figure)} <= {str, int, float, bool, type(None)}
    assert json.loads(json.dumps(figure, allow_nan=False)) == figure
    alt = figure["layout"]["meta"]["alt"]
    assert any(character.isdigit() for character in alt)
    assert alt.endswith(".")
    assert len(alt) < 400


def set_colors(figure: dict[str, Any]) -> list[str]:
    """The layout's settings for text, grid and background, which are the theme's alone."""
    text = json.dumps({name: part for name, part in figure["layout"].items() if name != "shapes"})
    return [name for name in ("color", "template", "bgcolor", "gridcolor") if f'"{name}"' in text]
