"""What is said by cell is said of every cell: no table and no diagram leaves one out."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest

from lib.common_settings import CELLS
from lib.trace import BLOCKS
from tests.test_import_rules import ROOT, sources

GATED = {cell for cell, blocks in BLOCKS.items() if len(blocks) > 1}
# The page from scratch draws four cells that can be told apart.
OWN_CHOICE = {"demos/from_scratch/vanishing.py", "demos/from_scratch/figures.py"}


def named(node: ast.AST) -> list[Any]:
    """The constants that a dict has for keys, or a tuple for its members."""
    parts = node.keys if isinstance(node, ast.Dict) else node.elts if isinstance(node, ast.Tuple) else []
    return [part.value for part in parts if isinstance(part, ast.Constant)]


def tables() -> Iterator[Any]:
    """Every dict and tuple in our code that names the LSTM or the GRU: (where, its names)."""
    for path in sources("lib", "demos", "app"):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = named(node)
            if name not in OWN_CHOICE and len({"rnn", *GATED} & set(names)) > 1 and {"lstm", "gru"} & set(names):
                yield pytest.param(set(names), id=f"{name}:{node.lineno}")  # type: ignore[attr-defined]


@pytest.mark.parametrize("names", list(tables()))
def test_what_is_keyed_by_cell_has_every_cell(names: set[str]) -> None:
    assert names >= GATED and names <= set(CELLS)


def test_nothing_asks_whether_a_cell_is_the_lstm_or_the_gru() -> None:
    """Where it is one of them, another may be like it: ask for the part that it is about. A tanh RNN is alone without gates."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("lib", "demos", "app")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and any(
            isinstance(side, ast.Constant) and side.value in ("lstm", "gru") for side in (node.left, *node.comparators)
        )
    ]
    assert found == []


def test_every_cell_has_a_diagram() -> None:
    script = (ROOT / "app/static/cell.js").read_text(encoding="utf-8")
    for table in ("CELLS", "PLACES"):
        body = re.search(rf"^const {table} = {{\n(.*?)^}}", script, re.MULTILINE | re.DOTALL)
        assert body is not None
        assert set(re.findall(r"^  (\w+):", body[1], re.MULTILINE)) == set(CELLS)
