"""Streamlit must not clear Keras's session, by the very code with which it does so."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import script_runner

from lib import keras_guard
from tests.conftest import ROOT


def stand_in(calls: list[Any]) -> Any:
    """A Keras that notes the arguments of each clear_session."""
    return SimpleNamespace(
        backend=SimpleNamespace(clear_session=lambda *args, **kwargs: calls.append((args, kwargs)) or 7)
    )


def test_a_call_of_anybody_else_does_what_it_always_did() -> None:
    calls: list[Any] = []
    keras = stand_in(calls)
    keras_guard.guard(keras)
    assert keras.backend.clear_session(1, free_memory=False) == 7
    assert calls == [((1,), {"free_memory": False})]


def test_streamlits_call_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setitem(sys.modules, "keras", stand_in(calls))
    script_runner._clean_problem_modules()
    assert len(calls) == 1, "without the guard Streamlit clears: else this test tests nothing"
    keras_guard.guard()
    script_runner._clean_problem_modules()
    assert len(calls) == 1


def test_guarding_twice_wraps_once() -> None:
    keras = stand_in([])
    assert not keras_guard.guarded(keras)
    keras_guard.guard(keras)
    once = keras.backend.clear_session
    keras_guard.guard(keras)
    assert keras.backend.clear_session is once
    assert keras_guard.guarded(keras)


def test_without_keras_there_is_nothing_to_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    keras_guard.guard()
    assert keras_guard.guarded()


def test_a_whole_script_run_leaves_the_real_keras_alone() -> None:
    code = """
import keras
import gc
import lib.tf
assert gc.get_freeze_count() > 100_000, "each collection looks at all of TensorFlow"
from streamlit.testing.v1 import AppTest
keras.backend.get_uid("probe")
page = AppTest.from_string("import streamlit as st; st.title('hello')", default_timeout=30).run()
assert not page.exception and page.title[0].value == "hello"
assert keras.backend.get_uid("probe") == 2, "the script's run cleared the session"
keras.backend.clear_session()
assert keras.backend.get_uid("probe") == 1
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
