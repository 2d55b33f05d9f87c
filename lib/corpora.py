"""The Penn Treebank in Mikolov's word-level version: brought to this machine, checked, and kept.

The corpus is licensed by the Linguistic Data Consortium, so it is no part of Unrolled. It is fetched when somebody wishes so, or
taken from an archive or a folder that they bring. What is kept is, byte for byte, what Mikolov published with "Recurrent neural
network based language model" (Mikolov et al., Interspeech 2010).
"""

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

import requests
import urllib3

from lib.store import data_folder

ADDRESS = "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz"


class Published(NamedTuple):
    """A file as it was published; its size is in bytes."""

    name: str
    size: int
    md5: str


FILES = {
    "train": Published("ptb.train.txt", 5_101_618, "f26c4b92c5fdc7b3f8c7cdcb991d8420"),
    "valid": Published("ptb.valid.txt", 399_782, "aa0affc06ff7c36e977d7cd49e3839bf"),
    "test": Published("ptb.test.txt", 449_945, "8b80168b89c18661a38ef683c0dc3721"),
}

LARGEST_ARCHIVE = 60_000_000  # bytes; the real one has 34.9 million
LARGEST_UNPACKED = 500_000_000  # a small archive can unpack without end
CONNECT_SECONDS, SILENT_SECONDS, LONGEST_SECONDS = 10.0, 30.0, 1800.0
PIECE = 1 << 15

OTHER_WAYS = (
    "bring simple-examples.tgz from another machine and upload it, or name a folder with its files, "
    "or use the built-in grammar corpus"
)
ANOTHER_COPY = "fetch it again, or bring another copy of simple-examples.tgz"

_PLACING = threading.Lock()


class CorpusError(RuntimeError):
    """The corpus cannot be had. Its message says why, and what to do."""


class Splits(NamedTuple):
    """The three texts: one sentence on each line, its words set apart by spaces."""

    train: str
    valid: str
    test: str


def folder() -> Path:
    """Where the corpus is kept."""
    return data_folder() / "corpora" / "ptb"


def address() -> str:
    """Where the archive is fetched from: the address in `UNROLLED_PTB_URL`, by default Mikolov's."""
    return os.environ.get("UNROLLED_PTB_URL") or ADDRESS


def is_here() -> bool:
    """Whether the corpus is on this machine. Looks at sizes only, so it is quick; `load` checks every byte."""
    return all(_size(folder() / file.name) == file.size for file in FILES.values())


def load() -> Splits:
    """The three texts. Raises CorpusError where they are not here, or are not what was published."""
    if not any((folder() / file.name).exists() for file in FILES.values()):
        raise CorpusError(f"The Penn Treebank is not on this machine: fetch it, or {OTHER_WAYS}.")
    contents = _read(folder())
    return Splits(**{split: content.decode() for split, content in contents.items()})


# The three ways to bring it


def _silent(done: int, total: int | None) -> None:
    """Tell nobody."""


def fetch(progress: Callable[[int, int | None], None] = _silent) -> None:
    """Download the corpus, check it, and keep it; nothing where it is here already. Raises CorpusError.

    `progress` is told, after every piece, how many bytes are here and how many there will be, or None. What it raises ends the
    download and is raised here. Until all three files are checked, nothing is kept.
    """
    if _is_whole():
        return
    with _writing(), tempfile.TemporaryFile(dir=_parent()) as file, closing(_download(address())) as pieces:
        done = 0
        for piece, total in pieces:
            file.write(piece)
            done += len(piece)
            progress(done, total)
        take_archive(cast(BinaryIO, file))


def take_archive(content: bytes | BinaryIO) -> None:
    """Keep the corpus that is in a .tgz or .tar archive, after checking it. Raises CorpusError."""
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    size = file.seek(0, os.SEEK_END)
    if size > LARGEST_ARCHIVE:
        raise CorpusError(
            f"The archive has {size:,} bytes, and may have {LARGEST_ARCHIVE:,}: bring simple-examples.tgz as it was published."
        )
    file.seek(0)
    _place({split: _checked(FILES[split], content) for split, content in _unpacked(file).items()})


def take_folder(path: str | Path) -> None:
    """Keep the corpus that is in a folder, or in `data` or `simple-examples/data` below it. Raises CorpusError."""
    named = Path(os.path.expanduser(path))  # pathlib raises where there is no such person
    for place in (named, named / "data", named / "simple-examples" / "data"):
        if any(_size(place / file.name) is not None for file in FILES.values()):
            _place(_read(place))
            return
    names = ", ".join(file.name for file in FILES.values())
    raise CorpusError(f"{named} has no {names}: name the folder that they are in, or the one above it.")


# Downloading


def _download(url: str) -> Generator[tuple[bytes, int | None]]:
    """The pieces of what is at an address, as they were sent, each with the size of the whole where it is known."""
    started = time.monotonic()
    received = 0
    try:
        with requests.get(url, stream=True, timeout=(CONNECT_SECONDS, SILENT_SECONDS)) as response:
            if response.status_code != HTTPStatus.OK:
                raise CorpusError(
                    f"{url} answered with {_status(response.status_code)}: try again later, or {OTHER_WAYS}."
                )
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            _refuse_beyond_limit(url, total or 0)
            # Some servers call a .tgz a gzipped .tar, and requests would unpack it.
            for piece in response.raw.stream(PIECE, decode_content=False):
                received += len(piece)
                _refuse_beyond_limit(url, received)
                if time.monotonic() - started > LONGEST_SECONDS:
                    raise CorpusError(
                        f"{url} took over {LONGEST_SECONDS / 60:.0f} minutes: try again later, or {OTHER_WAYS}."
                    )
                yield piece, total
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise CorpusError(f"{_what_happened(url, error, received)}: try again later, or {OTHER_WAYS}.") from error


def _refuse_beyond_limit(url: str, size: int) -> None:
    if size > LARGEST_ARCHIVE:
        raise CorpusError(f"{url} sends {size:,} bytes or more, and {LARGEST_ARCHIVE:,} are the limit: {OTHER_WAYS}.")


def _status(code: int) -> str:
    """A status code and its name."""
    try:
        return f"{code} ({HTTPStatus(code).phrase})"
    except ValueError:
        return str(code)


def _what_happened(url: str, error: Exception, received: int) -> str:
    """One line for an error of the network, whose own message is a page long."""
    if received:
        return f"The download from {url} broke off after {received:,} bytes"
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return f"{url} did not answer in time"
    if isinstance(error, ValueError):  # as requests calls an address without http://
        return f"{url} is not an address that can be fetched"
    return f"{url} cannot be reached from this machine"


# Unpacking


class _Bounded:
    """A file that is read up to a number of bytes."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file, self._left = file, limit

    def read(self, size: int) -> bytes:
        """The next bytes. Raises CorpusError beyond the limit."""
        content = self._file.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise CorpusError(
                f"The archive unpacks to over {LARGEST_UNPACKED:,} bytes, so it is not the real one: {ANOTHER_COPY}."
            )
        return content


def _unpacked(file: BinaryIO) -> dict[str, bytes]:
    """The contents of the three files in an archive. Nothing is written to the disk, and no more is read than is needed."""
    gzipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    plain = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if gzipped else file
    try:
        with tarfile.open(fileobj=cast(BinaryIO, _Bounded(plain, LARGEST_UNPACKED)), mode="r|") as archive:
            return _members(archive)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        raise CorpusError(
            f"This is not a .tgz or .tar archive, or it is broken ({_one_line(error)}): {ANOTHER_COPY}."
        ) from error


def _members(archive: tarfile.TarFile) -> dict[str, bytes]:
    """The contents of the three files, in the order of `FILES`, in whatever folder of the archive they are."""
    split_of = {file.name: split for split, file in FILES.items()}
    found: dict[str, bytes] = {}
    for member in archive:
        path = PurePosixPath(member.name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise CorpusError(f"The archive has a file outside of itself ({_one_line(member.name)}): {ANOTHER_COPY}.")
        split = split_of.get(path.name)
        if split is None or split in found or member.isdir():
            continue
        found[split] = _member(archive, member, FILES[split])
        if len(found) == len(FILES):
            return {split: found[split] for split in FILES}
    missing = ", ".join(file.name for split, file in FILES.items() if split not in found)
    raise CorpusError(f"The archive has no {missing}: bring simple-examples.tgz as it was published.")


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, file: Published) -> bytes:
    """What a member has in it, once it is known to be a plain file of the right size."""
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        raise CorpusError(f"{file.name} in the archive is a link or a device, not a file: {ANOTHER_COPY}.")
    _check_size(file, member.size)
    return content.read()


def _one_line(error: object) -> str:
    """The beginning of a message on one line, without what a terminal or a page could stumble over."""
    words = " ".join(str(error).split())
    return "".join(letter for letter in words if letter.isprintable())[:100] or type(error).__name__


# Checking and keeping


def _checked(file: Published, content: bytes) -> bytes:
    """The content, where it is what was published. Raises CorpusError."""
    _check_size(file, len(content))
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != file.md5:
        raise CorpusError(f"{file.name} has the MD5 checksum {md5}, and {file.md5} was published: {ANOTHER_COPY}.")
    return content


def _check_size(file: Published, size: int) -> None:
    if size != file.size:
        raise CorpusError(f"{file.name} has {size:,} bytes, and {file.size:,} were published: {ANOTHER_COPY}.")


def _size(path: Path) -> int | None:
    """The size of a file; None where it is not one or cannot be looked at."""
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # a ValueError for a name with a zero byte
        return None


def _read(place: Path) -> dict[str, bytes]:
    """The three files of a folder, checked. Raises CorpusError."""
    contents = {}
    for split, file in FILES.items():
        path = place / file.name
        size = _size(path)
        if size is None:
            raise CorpusError(f"{place} has no {file.name}: {ANOTHER_COPY}.")
        _check_size(file, size)
        try:
            contents[split] = _checked(file, path.read_bytes())
        except OSError as error:
            raise CorpusError(f"{path} cannot be read ({error.strerror}): allow it, or {ANOTHER_COPY}.") from error
    return contents


def _is_whole() -> bool:
    """Whether all three files are here, and are what was published."""
    try:
        _read(folder())
    except CorpusError:
        return False
    return True


def _place(contents: Mapping[str, bytes]) -> None:
    """Keep the three files: all of them at once, so that nobody ever sees one or two, or a part of one."""
    with _writing(), tempfile.TemporaryDirectory(dir=_parent(), prefix="ptb.", suffix=".new") as fresh:
        whole = Path(fresh) / "ptb"
        whole.mkdir()
        for split, content in contents.items():
            (whole / FILES[split].name).write_bytes(content)
        with _PLACING:
            if _is_whole():
                return
            if folder().exists():
                folder().rename(Path(fresh) / "broken")
            try:
                whole.rename(folder())
            except OSError:  # another server on this machine was quicker
                if not _is_whole():
                    raise


def _parent() -> Path:
    """The folder that everything is written in, so that the last step is a mere change of name."""
    folder().parent.mkdir(parents=True, exist_ok=True)
    return folder().parent


@contextmanager
def _writing() -> Iterator[None]:
    """Says where it was, when the disk is full or may not be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CorpusError(
            f"{folder().parent} cannot be written ({reason}): make room there, or name another folder by UNROLLED_HOME."
        ) from error
