"""Texts that people bring along: read from whatever file, checked, and kept under an id.

The id is a hash of the content, so the same text is kept once, and a run that was trained on it finds it again. Whoever
has a run's link can see its text.
"""

import hashlib
import re
import secrets
import unicodedata
from pathlib import Path

from lib.store import data_folder

LONGEST = 1_000_000  # characters


class TextError(ValueError):
    """A text that cannot be used. Its message says why, and what to do."""


def decoded(content: bytes) -> str:
    """The text of a file: UTF-8, with or without a byte order mark, or UTF-16 with one. Raises TextError."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        where = f"byte {error.start + 1:,} cannot be read"
        raise TextError(f"The file is not UTF-8 text ({where}): save it as UTF-8 plain text and try again.") from None


def cleaned(text: str, shortest: int = 1) -> str:
    """The text with Unix line ends, composed letters and no control characters. Raises TextError."""
    text = re.sub(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text.removeprefix("\ufeff"))
    if "\0" in text:
        raise TextError(
            "The text has zero bytes in it, so it is not plain text: save it as UTF-8 plain text and try again."
        )
    kept = "".join(
        letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs", "Cn")
    )
    kept = unicodedata.normalize("NFC", kept.replace("\t", " ")).strip()
    if len(kept) < shortest:
        raise TextError(f"The text has {len(kept):,} characters, and needs {shortest:,} or more: bring a longer one.")
    if len(kept) > LONGEST:
        raise TextError(f"The text has {len(kept):,} characters, and may have {LONGEST:,}: bring a part of it.")
    return kept


def keep(text: str) -> str:
    """Keep a cleaned text; returns its id."""
    content = text.encode()
    text_id = hashlib.sha256(content).hexdigest()[:16]
    path = _path(text_id)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{secrets.token_hex(4)}.new")
        fresh.write_bytes(content)
        fresh.replace(path)
    return text_id


def is_kept(text_id: str) -> bool:
    """Whether there is a text with this id."""
    return _path(text_id).exists()


def load(text_id: str) -> str:
    """The text with this id. Raises TextError."""
    try:
        return _path(text_id).read_bytes().decode()
    except FileNotFoundError:
        raise TextError(f"The text {text_id} is not on this server: bring it again.") from None


def _path(text_id: str) -> Path:
    return data_folder() / "texts" / f"{text_id}.txt"
