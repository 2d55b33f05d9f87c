"""Texts that people bring along: read from whatever file, checked, and kept under an id.

The id is a hash of the content, so the same text is kept once, and a run that was trained on it finds it again. Whoever
has a run's link can see its text. Where several machines share a store (UNROLLED_STORE) a text is there as well.
"""

import hashlib
import logging
import re
import secrets
import sys
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

from lib.faults import FAULTS, in_one_line
from lib.postgres import PostgresStore
from lib.store import Store, data_folder
from lib.stores import place_name, store_place

LOG = logging.getLogger(__name__)
LONGEST = 1_000_000  # characters
OPENING = 60  # characters that tell one text from another
PIECE = 1_000_000  # characters that are looked at in one go: other threads get the interpreter in between


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


def cleaned(text: str, shortest: int = 1, longest: int = LONGEST) -> str:
    """The text with Unix line ends, composed letters and no control characters. Raises TextError."""
    text = re.sub(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text.removeprefix("\ufeff"))
    if "\0" in text:
        raise TextError(
            "The text has zero bytes in it, so it is not plain text: save it as UTF-8 plain text and try again."
        )
    letters = set().union(*(text[start : start + PIECE] for start in range(0, len(text), PIECE))) - {"\n", "\t"}
    bare = {letter for letter in letters if unicodedata.category(letter) in ("Cc", "Cs", "Cn")}
    if bare:
        text = text.translate(dict.fromkeys(map(ord, bare)))
    kept = unicodedata.normalize("NFC", text.replace("\t", " ")).strip()
    if len(kept) < shortest:
        raise TextError(f"The text has {len(kept):,} characters, and needs {shortest:,} or more: bring a longer one.")
    _check_length(len(kept), longest)
    return kept


def _check_length(length: int, longest: int) -> None:
    if length > longest:
        raise TextError(f"The text has {length:,} characters, and may have {longest:,}: bring a part of it.")


def keep(text: str) -> str:
    """Keep a cleaned text; returns its id."""
    content = text.encode()
    text_id = hashlib.sha256(content).hexdigest()[:16]
    if not _path(text_id).exists():
        _write(_path(text_id), content)
        _share(text_id, content)
    return text_id


def keep_beside(text_id: str, kind: str, made: str) -> None:
    """Keep what was `made` of a text, which took long, on this machine."""
    _write(_path(text_id).with_suffix(f".{kind}"), made.encode())


def beside(text_id: str, kind: str) -> str | None:
    """What `keep_beside` kept; None where there is nothing."""
    try:
        return _path(text_id).with_suffix(f".{kind}").read_bytes().decode()
    except FileNotFoundError:
        return None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{secrets.token_hex(4)}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def is_kept(text_id: str) -> bool:
    """Whether there is a text with this id."""
    return _path(text_id).exists() or _shared(text_id) is not None


def load(text_id: str, longest: int = LONGEST) -> str:
    """The text with this id. Raises TextError, also where it is longer than whoever asks can use."""
    try:
        content = _path(text_id).read_bytes()
    except FileNotFoundError:
        shared = _shared(text_id)
        if shared is None:
            raise TextError(f"The text {text_id} is not on this server: bring it again.") from None
        _write(_path(text_id), content := shared)
    text = content.decode()
    _check_length(len(text), longest)
    return text


@lru_cache(maxsize=1024)
def opening(text_id: str) -> tuple[str, int]:
    """The first characters of a kept text of any length, and how many it has. Raises TextError."""
    text = load(text_id, sys.maxsize)
    return text[:OPENING], len(text)


def _share(text_id: str, content: bytes) -> None:
    """Keep a text for other machines. A run on it can train where it is, so a database that is away loses nothing here."""
    try:
        if (store := _store(store_place())) is not None:
            store.keep_text(text_id, content)
    except FAULTS as error:
        LOG.error("a text cannot be shared: %s", in_one_line(error, place_name(store_place())))


def _shared(text_id: str) -> bytes | None:
    """A text that another machine has shared."""
    try:
        store = _store(store_place())
        return store.text(text_id) if store is not None else None
    except FAULTS as error:
        LOG.error("shared texts cannot be read: %s", in_one_line(error, place_name(store_place())))
        return None


@cache
def _store(place: Path | str) -> Store | None:
    """The store that machines share, by a connection of its own; None where it is this machine's folder."""
    return PostgresStore(place, connections=1) if isinstance(place, str) else None


def _path(text_id: str) -> Path:
    return data_folder() / "texts" / f"{text_id}.txt"
