"""Values of settings as text: read from an address or a command line, written into messages and addresses."""

import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

Value = int | float | str | bool

LONGEST_SHOWN = 40  # characters of a value or a name that a message repeats
_PLAIN = re.compile(r"\w+|[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)
_TRUE, _FALSE = {"true", "1", "on"}, {"false", "0", "off"}


def shown(value: object) -> str:
    """A value or name for a message: one line of about 40 characters at most.

    What is not a plain word or number stands between backticks: a page shows messages as Markdown, and an
    address that somebody sends around must not put links or pictures there.
    """
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:  # an integer of thousands of digits, or somebody else's broken __str__
        text = type(value).__name__
    short = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
    if _PLAIN.fullmatch(text):
        return short
    printable = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in short)
    quoted = printable.replace("`", "'")
    return f"`{quoted}`" if quoted.strip() else repr(quoted)


def read_int(raw: object) -> int | None:
    """A whole number, or None. "3", "3.0" and "5e4" are whole numbers; True and 3.5 are not."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, numbers.Integral):
        return int(raw)
    if isinstance(raw, str):
        try:
            return int(raw)
        except ValueError:  # "3.0", "5e4", or not a number at all
            pass
    number = read_float(raw)
    return int(number) if number is not None and number.is_integer() else None


def read_float(raw: object) -> float | None:
    """A finite number, or None."""
    if isinstance(raw, bool) or not isinstance(raw, str | numbers.Real):
        return None
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def read_bool(raw: object) -> bool | None:
    """True for true, 1 or on, False for false, 0 or off, else None."""
    if isinstance(raw, str):
        text = raw.strip().lower()
        return True if text in _TRUE else False if text in _FALSE else None
    return bool(raw) if isinstance(raw, int) and raw in (0, 1) else None


def read_option(raw: object, options: Mapping[str, str]) -> str | None:
    """One of the options, in any case of letters, or None."""
    text = raw.strip().lower() if isinstance(raw, str) else ""
    return text if text in options else None


class Kind(NamedTuple):
    """How a type of setting is called in messages, and how its values are read."""

    noun: str
    read: Callable[[object], Value | None]  # None: not of this kind


KINDS: dict[type, Kind] = {
    int: Kind("a whole number", read_int),
    float: Kind("a number", read_float),
    bool: Kind("true or false", read_bool),
}


def as_text(value: Value) -> str:
    """The text from which the readers below give the same value again."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def alternatives(words: Iterable[str]) -> str:
    """Words as a choice, such as: rnn, lstm or gru."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
