"""Who may import whom: lib and demos never load Streamlit, and what a page uses never loads TensorFlow."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demos.registry import DEMOS

ROOT = Path(__file__).parent.parent
PARTS = ("lib", "demos")
BANNED_NAMES = {"utils", "helpers", "common", "misc"}

# These train. All else in lib and demos belongs to the pages too, which must not wait for TensorFlow.
TRAINING_SIDE = {
    "lib.tf",
    "lib.cells",
    "lib.device",
    "lib.evaluation",
    "lib.graph",
    "lib.initializers",
    "lib.losses",
    "lib.neighbours",
    "lib.networks",
    "lib.optimizers",
    "lib.prepared",
    "lib.scopes",
    "lib.short_lstm",
    "lib.training",
    "lib.word_network",
}
TRAINING_SIDE |= {"demos.from_scratch.hands"}
TRAINING_SIDE |= {f"{demo.package}.task" for demo in DEMOS}

# Some else import one of these when they are called, which is where networks are trained: by an engine, by the command line, or
# by `Jobs.compute`.
WHEN_CALLED = {
    "demos.__main__": {"lib.device"},
    "demos.warm_up": {"lib.tf"},
    "demos.from_scratch.engine": {"demos.from_scratch.hands"},
    "lib.export": {"lib.graph", "lib.tf"},
    "lib.recorded": {"lib.evaluation"},
}


def sources(*folders: str) -> list[Path]:
    """Every Python file of ours in these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    """The name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> list[str]:
    """All modules of lib and demos but the command line, which is a script."""
    return [module_name(path) for path in sources(*PARTS) if path.name != "__main__.py"]


def imported(path: Path) -> Iterator[str]:
    """The names of all modules that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def top(name: str) -> str:
    return name.split(".")[0]


def first_to_load(modules: list[str], banned: set[str]) -> str:
    """The first of these modules with which a fresh interpreter loads a banned package, or nothing."""
    script = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
    if found := {banned!r} & {{module.split(".")[0] for module in sys.modules}}:
        print(name, "loads", *found)
        break
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("path", sources(*PARTS), ids=module_name)
def test_lib_and_demos_do_not_import_streamlit_or_pages(path: Path) -> None:
    assert {top(name) for name in imported(path)}.isdisjoint({"streamlit", "app"})


@pytest.mark.parametrize("path", sources("lib"), ids=module_name)
def test_lib_does_not_know_the_demos(path: Path) -> None:
    assert "demos" not in {top(name) for name in imported(path)}


@pytest.mark.parametrize("path", sources(*PARTS, "app"), ids=module_name)
def test_only_one_module_imports_tensorflow(path: Path) -> None:
    if path != ROOT / "lib" / "tf.py":
        assert {top(name) for name in imported(path)}.isdisjoint({"tensorflow", "keras"}), "use: from lib.tf import tf"


def test_importing_everything_in_lib_and_demos_loads_no_streamlit() -> None:
    assert first_to_load(modules(), {"streamlit", "app"}) == ""


def test_what_a_page_uses_loads_no_tensorflow() -> None:
    page_side = [module for module in modules() if module not in TRAINING_SIDE]
    assert {"lib.settings", "lib.stream", "lib.jobs", "lib.store", "demos.registry"} < set(page_side)
    assert first_to_load(page_side, {"tensorflow", "keras"}) == ""


def test_what_a_page_uses_imports_no_training_later_either() -> None:
    page_side = [path for path in sources(*PARTS, "app") if module_name(path) not in TRAINING_SIDE]
    later = {module_name(path): set(imported(path)) & TRAINING_SIDE for path in page_side}
    assert {name: found for name, found in later.items() if found} == WHEN_CALLED


def test_every_page_is_drawn_without_tensorflow(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.pages_without_tensorflow"]
    here = os.environ | {"UNROLLED_HOME": str(tmp_path), "UNROLLED_HOST_CODE": "correct-horse"}
    ran = subprocess.run(command, cwd=ROOT, env=here, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {part for path in sources(*PARTS, "app", "tests") for part in path.relative_to(ROOT).with_suffix("").parts}
    assert names.isdisjoint(BANNED_NAMES)
