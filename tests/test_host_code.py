"""The instructor's code: who has it is let in, and nobody can guess it."""

import threading
from collections import deque
from pathlib import Path

import pytest
import streamlit.config
from streamlit.runtime.secrets import secrets_singleton

from app import host_code, startup_check
from app.host_code import TooManyAttempts

CODE = "correct-horse"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A code, no attempts yet, and a clock that stands still until a test moves it."""
    now = [1000.0]
    monkeypatch.setenv("UNROLLED_HOST_CODE", CODE)
    monkeypatch.setattr(host_code.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(host_code, "_WRONG", deque())
    monkeypatch.setattr(host_code, "_HOSTS", set())
    return now


def test_the_right_code_and_no_other() -> None:
    assert host_code.configured()
    assert host_code.correct(CODE, "here")
    for wrong in ("", "correct-hors", CODE.upper(), "cörrect", "\udc80"):
        assert not host_code.correct(wrong, wrong)


def test_without_a_code_nothing_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNROLLED_HOST_CODE")
    assert not host_code.configured()
    assert not host_code.correct("", "here")
    assert not host_code.proven("visitor", "")
    with pytest.raises(LookupError, match="UNROLLED_HOST_CODE"):
        host_code.proof("visitor")


def test_after_five_wrong_codes_one_waits_a_minute_and_others_do_not(clock: list[float]) -> None:
    for _ in range(5):
        assert not host_code.correct("wrong", "here")
    clock[0] += 20
    with pytest.raises(TooManyAttempts, match="wait 40 seconds"):
        host_code.correct(CODE, "here")
    assert host_code.correct(CODE, "elsewhere")
    clock[0] += 40.1
    assert host_code.correct(CODE, "here")


def test_after_thirty_wrong_codes_of_many_everybody_waits_and_no_more_is_kept(clock: list[float]) -> None:
    for number in range(30):
        assert not host_code.correct("wrong", str(number))
    for number in range(100):
        with pytest.raises(TooManyAttempts):
            host_code.correct(CODE, f"another {number}")
    assert len(host_code._WRONG) == 30
    clock[0] += 61
    assert host_code.correct(CODE, "another")


def test_no_stranger_holds_up_who_has_given_the_code_before(clock: list[float]) -> None:
    assert host_code.correct(CODE, "the instructor's address")
    for number in range(30):
        assert not host_code.correct("wrong", str(number))
    with pytest.raises(TooManyAttempts):
        host_code.correct(CODE, "a stranger")
    assert host_code.correct(CODE, "the instructor's address")
    assert host_code.correct(CODE, "the instructor's cookie", is_known=True)
    for _ in range(5):
        assert not host_code.correct("wrong", "the thief of a cookie", is_known=True)
    with pytest.raises(TooManyAttempts):
        host_code.correct(CODE, "the thief of a cookie", is_known=True)


def test_the_addresses_of_one_household_count_as_one() -> None:
    for number in range(5):
        assert not host_code.correct("wrong", f"2001:db8:0:1::{number:x}")
        assert not host_code.correct("wrong", f"::ffff:192.0.2.{number}"), (
            "these are addresses of the old kind, of anybody"
        )
    with pytest.raises(TooManyAttempts):
        host_code.correct(CODE, "2001:db8:0:1:ffff::")
    assert host_code.correct(CODE, "2001:db8:0:2::") and host_code.correct(CODE, "::ffff:192.0.2.9")


def test_attempts_side_by_side_are_counted() -> None:
    refused: list[TooManyAttempts] = []

    def guess() -> None:
        try:
            host_code.correct("wrong", "here")
        except TooManyAttempts as error:
            refused.append(error)

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 15


def test_a_proof_is_one_visitors_and_ends_when_the_code_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    proof = host_code.proof("visitor")
    assert host_code.proven("visitor", proof)
    assert not host_code.proven("another", proof)
    monkeypatch.setenv("UNROLLED_HOST_CODE", "another-code")
    assert not host_code.proven("visitor", proof)


def test_the_code_may_stand_in_streamlits_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UNROLLED_HOST_CODE")
    monkeypatch.setenv("host_code", "")  # Streamlit copies secrets to the environment; this takes it back afterwards
    file = tmp_path / "secrets.toml"
    file.write_text('host_code = "from-a-file"')
    files = {"secrets.files": [str(file)]}
    monkeypatch.setattr(streamlit.config, "get_option", lambda name: files.get(name))
    monkeypatch.setattr(secrets_singleton, "_file_watchers_installed", True)  # none, that is
    secrets_singleton._reset()
    try:
        assert host_code.correct("from-a-file", "here")
    finally:
        secrets_singleton._reset()


@pytest.fixture
def protected(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A hosted server with all of Streamlit's protections, which a test may turn off."""
    options = {"server.enableXsrfProtection": True, "server.enableCORS": True}
    monkeypatch.setattr(startup_check.config, "get_option", options.__getitem__)
    monkeypatch.setenv("UNROLLED_HOSTED", "1")
    return options


def test_a_protected_server_with_a_code_starts(protected: dict[str, bool]) -> None:
    startup_check.check_hosting()


@pytest.mark.parametrize(("code", "problem"), [("", "needs a host code"), ("1234567", "fewer than 8 characters")])
def test_a_missing_or_short_code_is_refused(protected, monkeypatch, code: str, problem: str) -> None:
    monkeypatch.setenv("UNROLLED_HOST_CODE", code)
    with pytest.raises(startup_check.UnsafeSettingsError, match=problem):
        startup_check.check_hosting()


@pytest.mark.parametrize("name", ["server.enableXsrfProtection", "server.enableCORS"])
def test_a_server_for_a_network_without_a_protection_is_refused(protected: dict[str, bool], name: str) -> None:
    protected[name] = False
    with pytest.raises(startup_check.UnsafeSettingsError, match=f"{name} is off"):
        startup_check.check_hosting()


def test_at_home_no_code_is_needed(protected: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNROLLED_HOSTED")
    monkeypatch.delenv("UNROLLED_HOST_CODE")
    startup_check.check_hosting()
