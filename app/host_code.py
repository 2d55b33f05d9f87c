"""The instructor's code: who knows it may run rooms and read the server's figures."""

import hashlib
import hmac
import os
import threading
import time
from collections import deque
from contextlib import suppress

from streamlit.runtime.secrets import secrets_singleton

SHORTEST = 8  # characters
WITHIN = 60.0  # seconds
MOST_WRONG, MOST_WRONG_TOGETHER = 5, 30  # attempts of one person, and of all

_LOCK = threading.Lock()
_WRONG: deque[tuple[float, str]] = deque()  # when, and who; never more than MOST_WRONG_TOGETHER


class TooManyAttempts(RuntimeError):  # noqa: N818
    """So many wrong codes were tried that the next may be tried only in `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, round(seconds))
        super().__init__(f"Too many wrong codes were tried: wait {self.seconds} seconds, and try again.")


def configured() -> bool:
    """Whether this server has a host code."""
    return bool(_code())


def too_short() -> bool:
    """Whether there is a code, but one that can be guessed."""
    return 0 < len(_code()) < SHORTEST


def correct(given: str, who: str) -> bool:
    """Whether this is the host code. `who`, an address or a visitor, has a few attempts a minute, and so have all together.

    Raises TooManyAttempts beyond them, for the right code as well.
    """
    code, now = _code(), time.monotonic()
    with _LOCK:
        while _WRONG and _WRONG[0][0] <= now - WITHIN:
            _WRONG.popleft()
        for times, most in (
            ([when for when, each in _WRONG if each == who], MOST_WRONG),
            ([when for when, _ in _WRONG], MOST_WRONG_TOGETHER),
        ):
            if len(times) >= most:
                raise TooManyAttempts(times[-most] + WITHIN - now)
        if code and hmac.compare_digest(_digest(given), _digest(code)):
            return True
        _WRONG.append((now, who))
        return False


def proof(visitor: str) -> str:
    """What shows that a visitor has given the code. It may be kept: it ends when the code changes."""
    code = _code()
    if not code:
        raise LookupError("This server has no host code: set UNROLLED_HOST_CODE.")
    return hmac.new(code.encode(), visitor.encode(), hashlib.sha256).hexdigest()


def proven(visitor: str, proof_kept: str) -> bool:
    """Whether `proof` gave this for the visitor under the code of now."""
    return configured() and hmac.compare_digest(_digest(proof_kept), _digest(proof(visitor)))


def _code() -> str:
    if code := os.environ.get("UNROLLED_HOST_CODE"):
        return code
    with suppress(FileNotFoundError, KeyError):  # no secrets file is how most servers are
        return str(secrets_singleton["host_code"])
    return ""


def _digest(text: str) -> bytes:
    # A lone surrogate, which only a forged request can bring, must not raise.
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
