"""Who may import whom: lib and demos never load Streamlit, and what a page uses never loads TensorFlow."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demos.registry import DEMOS

ROOT = Path(__file__).parent.parent
PARTS = ("lib", "demos")
BANNED_NAMES = {"utils", "helpers", "common", "misc"}

# What the thread of a page imports. TensorFlow takes seconds and 600 MB, and a page must not wait for it.
PAGE_SIDE = [
    "lib.settings",
    "lib.values",
    "lib.stream",
    "lib.jobs",
    "lib.store",
    "lib.style",
    "demos.registry",
]
PAGE_SIDE += [
    f"{demo.package}.{part}" for demo in DEMOS for part in ("config", "theory", "figures", "lessons")
]


def sources(*folders: str) -> list[Path]:
    """Every Python file of ours in these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    """The name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """The names of all modules that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def top(name: str) -> str:
    return name.split(".")[0]


def loaded_after(modules: list[str], *wanted: str) -> set[str]:
    """Which of the wanted packages a fresh interpreter holds once it has imported these modules."""
    script = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\nprint(*sys.modules)"
    )
    command = [sys.executable, "-W", "ignore", "-c", script]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return {top(name) for name in ran.stdout.split()} & set(wanted)


@pytest.mark.parametrize("path", sources(*PARTS), ids=module_name)
def test_lib_and_demos_do_not_import_streamlit_or_pages(path: Path) -> None:
    assert {top(name) for name in imported(path)}.isdisjoint({"streamlit", "app"})


@pytest.mark.parametrize("path", sources("lib"), ids=module_name)
def test_lib_does_not_know_the_demos(path: Path) -> None:
    assert "demos" not in {top(name) for name in imported(path)}


@pytest.mark.parametrize("path", sources(*PARTS, "app"), ids=module_name)
def test_only_one_module_imports_tensorflow(path: Path) -> None:
    if path != ROOT / "lib" / "tf.py":
        assert {top(name) for name in imported(path)}.isdisjoint({"tensorflow", "keras"}), (
            "use: from lib.tf import tf"
        )


def test_importing_everything_in_lib_and_demos_loads_no_streamlit() -> None:
    everything = [module_name(path) for path in sources(*PARTS) if path.name != "__main__.py"]
    assert loaded_after(everything, "streamlit", "app") == set()


@pytest.mark.parametrize("module", PAGE_SIDE)
def test_what_a_page_uses_loads_no_tensorflow(module: str) -> None:
    assert loaded_after([module], "tensorflow", "keras", "streamlit") == set()


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {
        part
        for path in sources(*PARTS, "app", "tests")
        for part in path.relative_to(ROOT).with_suffix("").parts
    }
    assert names.isdisjoint(BANNED_NAMES)
