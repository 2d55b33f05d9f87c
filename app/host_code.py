"""The instructor's code: who knows it may run rooms and read the server's figures."""

import hashlib
import hmac
import os
import threading
import time
from collections import deque
from contextlib import suppress
from ipaddress import IPv6Address, IPv6Network

from streamlit.runtime.secrets import secrets_singleton

SHORTEST = 8  # characters
WITHIN = 60.0  # seconds
MOST_WRONG, MOST_WRONG_TOGETHER = 5, 30  # attempts of one address or host, and of all who are no hosts

_LOCK = threading.Lock()
_WRONG: deque[tuple[float, str, bool]] = deque()  # when, who, and whether they are known as a host
_HOSTS: set[str] = set()  # who has given the right code


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


def correct(given: str, who: str, *, is_known: bool = False) -> bool:
    """Whether this is the host code. `who`, an address or a host, has a few wrong attempts a minute.

    So have all together who have never given the right one, here or, as `is_known` says, before: nobody can go through
    all codes from many addresses, nor keep a host out that way. Raises TooManyAttempts, for the right code as well.
    """
    code, now, who = _code(), time.monotonic(), _network(who)
    with _LOCK:
        is_known = is_known or who in _HOSTS
        while _WRONG and _WRONG[0][0] <= now - WITHIN:
            _WRONG.popleft()
        _check([when for when, each, _ in _WRONG if each == who], MOST_WRONG, now)
        if not is_known:
            _check([when for when, _, known in _WRONG if not known], MOST_WRONG_TOGETHER, now)
        if code and hmac.compare_digest(_digest(given), _digest(code)):
            _HOSTS.add(who)
            return True
        _WRONG.append((now, who, is_known))
        return False


def _check(wrong: list[float], most: int, now: float) -> None:
    if len(wrong) >= most:
        raise TooManyAttempts(wrong[-most] + WITHIN - now)


def _network(who: str) -> str:
    """The network of an IPv6 address, of which one household has as many as it likes; else `who`."""
    try:
        address = IPv6Address(who)
    except ValueError:
        return who
    return who if address.ipv4_mapped else str(IPv6Network((address, 64), strict=False))


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
