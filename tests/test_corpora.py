"""The Penn Treebank brought to this machine: from a server, an archive or a folder; and all that can go wrong on the way.

The files here are small made-up ones, published in the test's own table. Where `UNROLLED_PTB` names a folder with the real ones,
these are checked as well.
"""

import gzip
import hashlib
import io
import os
import shutil
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib import corpora
from lib.corpora import CorpusError, Published, fetch, is_here, load, take_archive, take_folder

TEXTS = {
    "ptb.train.txt": b" the fox sleeps \n the <unk> eats N hens \n" * 40,
    "ptb.valid.txt": b" the fox eats \n",
    "ptb.test.txt": b" N hens sleep \n the fox sleeps \n",
}
WRONG = TEXTS | {"ptb.valid.txt": b" the fox eatz \n"}
NAMES = tuple(TEXTS)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own, and a table in which the small files are what was published."""
    published = {
        name.split(".")[1]: Published(name, len(content), hashlib.md5(content).hexdigest())
        for name, content in TEXTS.items()
    }
    monkeypatch.setattr(corpora, "FILES", published)
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("UNROLLED_PTB_URL", raising=False)
    return tmp_path / "home"


# Archives


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def tar(files: dict[str, bytes], *others: tarfile.TarInfo) -> bytes:
    """A .tar of other members and then these files, in the folders of the real one."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for info in others:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
        for name, content in files.items():
            archive.addfile(member(f"./simple-examples/data/{name}", size=len(content)), io.BytesIO(content))
    return file.getvalue()


def tgz(files: dict[str, bytes] = TEXTS, *others: tarfile.TarInfo) -> bytes:
    return gzip.compress(tar(files, *others))


def without(name: str) -> dict[str, bytes]:
    return {other: content for other, content in TEXTS.items() if other != name}


# A server


Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A server on this machine; `answer` is what it says to whatever is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Answer = sending(tgz())
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked += 1
                site.answer(self)

            def log_message(self, *said: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/simple-examples.tgz"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site()
    monkeypatch.setenv("UNROLLED_PTB_URL", site.url)
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


def sending(content: bytes, status: int = 200, length: int | None = -1, **headers: str) -> Answer:
    """The answer with this content; its length is told as it is, as another, or (None) not at all."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if length is not None:
            handler.send_header("Content-Length", str(len(content) if length < 0 else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        try:
            handler.wfile.write(content)
        except ConnectionError:  # they would not have it all
            handler.close_connection = True

    return answer


def refused(act: Callable[[], object], *said: str) -> None:
    """It fails with one line that says this, and leaves nothing behind."""
    with pytest.raises(CorpusError) as caught:
        act()
    message = str(caught.value)
    assert all(words in message for words in said), message
    assert "\n" not in message and message.isprintable() and message.endswith(".") and len(message) < 500
    assert not is_here()
    assert left() in ([], None)


def left() -> list[str] | None:
    """What is in the folder of corpora."""
    parent = corpora.folder().parent
    return sorted(path.name for path in parent.iterdir()) if parent.is_dir() else None


def is_whole() -> bool:
    """All three files are here as they were published, and nothing else."""
    here = {path.name: path.read_bytes() for path in corpora.folder().iterdir()}
    return here == TEXTS and left() == ["ptb"] and is_here()


# Fetching


class InterruptedByPersonError(Exception):
    """Somebody pressed stop."""


def test_what_is_fetched_is_kept_and_read(site: Site) -> None:
    assert not is_here()
    fetch()
    assert is_whole()
    assert load() == tuple(content.decode() for content in TEXTS.values())
    assert load().valid == " the fox eats \n"


def test_what_is_here_is_not_fetched_again(site: Site) -> None:
    fetch()
    fetch()
    assert site.asked == 1


def test_progress_tells_every_piece_and_the_whole(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "PIECE", 100)
    told: list[tuple[int, int | None]] = []
    fetch(lambda done, total: told.append((done, total)))
    size = len(tgz())
    assert told == [(min(done, size), size) for done in range(100, size + 100, 100)]


def test_progress_without_a_length_has_no_whole(site: Site) -> None:
    site.answer = sending(tgz(), length=None)
    told: list[tuple[int, int | None]] = []
    fetch(lambda done, total: told.append((done, total)))
    assert told[-1] == (len(tgz()), None) and is_whole()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_server_that_calls_the_archive_a_gzipped_tar_is_understood(site: Site, encoding: str) -> None:
    site.answer = sending(tgz(), Content_Encoding=encoding)
    fetch()
    assert is_whole()


def test_a_redirect_is_followed(site: Site) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        moved = sending(b"", 301, Location="/elsewhere.tgz")
        (sending(tgz()) if handler.path == "/elsewhere.tgz" else moved)(handler)

    site.answer = answer
    fetch()
    assert is_whole() and site.asked == 2


OFFLINE = ("bring simple-examples.tgz from another machine", "upload", "a folder", "built-in grammar corpus")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (sending(b"gone", 404), ("404 (Not Found)", *OFFLINE)),
        (sending(b"later", 503), ("503 (Service Unavailable)", "try again later")),
        (sending(b"what", 599), ("answered with 599",)),
        (sending(b"", 204), ("204",)),
        (sending(tgz()[:150], length=len(tgz())), ("broke off after 150 bytes", *OFFLINE)),
        (sending(tgz()[:150], length=None), ("broken", "fetch it again")),
        (sending(b""), ("not a .tgz or .tar archive",)),
        (sending(b"<html>Please log in to the network</html>" * 50), ("not a .tgz or .tar archive",)),
        (sending(tgz(), length=60_000_001), ("60,000,001 bytes", "60,000,000 are the limit", *OFFLINE)),
    ],
)
def test_what_a_server_answers_wrongly_is_said(site: Site, answer: Answer, said: tuple[str, ...]) -> None:
    site.answer = answer
    refused(fetch, *said)


def test_more_than_the_limit_is_not_read_on_even_where_no_length_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "LARGEST_ARCHIVE", 100_000)
    site.answer = sending(bytes(20_000_000), length=None)
    received: list[int] = []
    refused(lambda: fetch(lambda done, total: received.append(done)), "100,000 are the limit")
    assert 0 < max(received) <= 100_000


def test_a_server_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{free.getsockname()[1]}/simple-examples.tgz"
        monkeypatch.setenv("UNROLLED_PTB_URL", url)
        refused(fetch, f"{url} cannot be reached from this machine", *OFFLINE)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "simple-examples.tgz", "http://", "ftp://127.0.0.1/a.tgz"])
def test_what_is_no_address_of_a_web_server_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("UNROLLED_PTB_URL", url)
    refused(fetch, f"{url} is not an address that can be fetched")


@pytest.mark.parametrize("sent", [0, 150])
def test_a_server_that_falls_silent_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch, sent: int) -> None:
    monkeypatch.setattr(corpora, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(corpora, "PIECE", 50)
    silence = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if sent:
            sending(tgz()[:sent], length=len(tgz()))(handler)
        silence.wait(5)

    site.answer = answer
    started = time.monotonic()
    refused(fetch, f"broke off after {sent} bytes" if sent else "did not answer in time", *OFFLINE)
    assert time.monotonic() - started < 2
    silence.set()


def test_a_download_does_not_take_forever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "LONGEST_SECONDS", 0.0)
    refused(fetch, "took over 0 minutes", *OFFLINE)


def test_what_progress_raises_ends_the_download_and_leaves_nothing(site: Site) -> None:
    def stop(done: int, total: int | None) -> None:
        raise InterruptedByPersonError

    with pytest.raises(InterruptedByPersonError):
        fetch(stop)
    assert left() == [] and not is_here()


def test_the_address_is_mikolovs_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert corpora.address() == "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz"
    monkeypatch.setenv("UNROLLED_PTB_URL", "http://mirror.example/a.tgz")
    assert corpora.address() == "http://mirror.example/a.tgz"


# Archives, fetched or uploaded


@pytest.mark.parametrize("content", [tgz(), tar(TEXTS)])
def test_archives_are_taken_from_bytes_and_from_files_at_any_place(content: bytes) -> None:
    file = io.BytesIO(content)
    file.seek(7)
    take_archive(file)
    assert is_whole() and not file.closed


def test_bytes_are_taken() -> None:
    take_archive(tgz())
    assert is_whole()


def test_other_members_are_passed_over_and_what_follows_the_last_is_not_read() -> None:
    others = (
        member("simple-examples", tarfile.DIRTYPE),
        member("simple-examples/ptb.test.txt", tarfile.DIRTYPE),
        member("models/big.model", size=100_000),
        member("models/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("._ptb.train.txt", size=10),
    )
    content = tar(TEXTS, *others).rstrip(b"\0")
    take_archive(content + bytes(-len(content) % tarfile.BLOCKSIZE) + b"broken" * 500)
    assert is_whole()


def test_the_three_files_may_lie_bare_and_in_any_order() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name in reversed(NAMES):
            archive.addfile(member(name, size=len(TEXTS[name])), io.BytesIO(TEXTS[name]))
    take_archive(file)
    assert is_whole()


@pytest.mark.parametrize("by_server", [False, True])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (tgz(WRONG), ("ptb.valid.txt", *(hashlib.md5(files["ptb.valid.txt"]).hexdigest() for files in (TEXTS, WRONG)))),
        (tgz(TEXTS | {"ptb.test.txt": b"short"}), ("ptb.test.txt has 5 bytes, and 32 were published",)),
        (tgz(without("ptb.test.txt")), ("The archive has no ptb.test.txt",)),
        (tgz({}), ("has no ptb.train.txt, ptb.valid.txt, ptb.test.txt",)),
        (tgz(TEXTS, member("../../../escaped.txt", size=5)), ("outside of itself (../../../escaped.txt)",)),
        (tgz(TEXTS, member("data/../../ptb.train.txt", size=5)), ("outside of itself",)),
        (tgz(TEXTS, member("/tmp/escaped.txt", size=5)), ("outside of itself (/tmp/escaped.txt)",)),
        (tgz(TEXTS, member("..\\..\\escaped.txt", size=5)), ("outside of itself",)),
        (tgz(TEXTS, member("../a\nb\x1b[31m\u202e" + "c" * 900, size=5)), ("outside of itself",)),
        (tgz(TEXTS, member("data/ptb.train.txt", tarfile.SYMTYPE, "/etc/passwd")), ("ptb.train.txt", "a link")),
        (tgz(TEXTS, member("data/ptb.train.txt", tarfile.LNKTYPE, "../../secret")), ("ptb.train.txt", "a link")),
        (tgz(TEXTS, member("data/ptb.train.txt", tarfile.CHRTYPE)), ("ptb.train.txt", "a device")),
        (tgz(TEXTS, member("data/ptb.train.txt", tarfile.FIFOTYPE)), ("ptb.train.txt", "a device")),
        (tgz()[:-200], ("broken",)),
        (tar(TEXTS)[:1500], ("broken",)),
        (b"PK\x03\x04 a zip", ("not a .tgz or .tar archive",)),
        (b"\x1f\x8b but no gzip", ("not a .tgz or .tar archive",)),
    ],
    # A gzip file has the time in it, and all processes of the tests must find the same names.
    ids=lambda value: "archive" if isinstance(value, bytes) else "-".join(value),
)
def test_wrong_archives_are_refused(
    site: Site, tmp_path: Path, content: bytes, said: tuple[str, ...], by_server: bool
) -> None:
    site.answer = sending(content)
    refused(fetch if by_server else lambda: take_archive(content), *said)
    assert {path.name for path in tmp_path.rglob("*")} <= {"home", "corpora"}


def test_an_archive_may_not_unpack_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "LARGEST_UNPACKED", 1_000_000)
    content = tgz(TEXTS, member("models/endless", size=3_000_000))
    assert len(content) < 10_000
    refused(lambda: take_archive(content), "unpacks to over 1,000,000 bytes")


def test_a_member_that_says_it_is_huge_is_not_read() -> None:
    header = member("data/ptb.train.txt", size=400_000_000).tobuf()
    refused(lambda: take_archive(header + bytes(2_000)), "ptb.train.txt has 400,000,000 bytes")


def test_an_upload_may_not_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "LARGEST_ARCHIVE", 100)
    refused(lambda: take_archive(tgz()), "and may have 100: bring simple-examples.tgz")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(tar(TEXTS)) - 1), written=st.binary(min_size=1, max_size=12))
def test_an_archive_with_any_bytes_changed_is_taken_whole_or_refused(place: int, written: bytes) -> None:
    shutil.rmtree(corpora.folder(), ignore_errors=True)
    content = bytearray(tar(TEXTS))
    content[place : place + len(written)] = written
    try:
        take_archive(bytes(content))
    except CorpusError:
        assert left() in ([], None)
    else:
        assert is_whole()


# Folders


@pytest.mark.parametrize("below", ["", "data", "simple-examples/data"])
def test_a_folder_or_the_one_above_it_is_taken(tmp_path: Path, below: str) -> None:
    write(tmp_path / "brought" / below, TEXTS)
    take_folder(str(tmp_path / "brought"))
    assert is_whole()


def write(place: Path, files: dict[str, bytes]) -> None:
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).write_bytes(content)


def test_a_folder_in_ones_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write(tmp_path / "brought", TEXTS)
    take_folder("~/brought")
    assert is_whole()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "brought has no ptb.train.txt, ptb.valid.txt, ptb.test.txt: name the folder"),
        (without("ptb.valid.txt"), "brought has no ptb.valid.txt"),
        (WRONG, "ptb.valid.txt has the MD5 checksum"),
        (
            {name: text.replace(b"\n", b"\r\n") for name, text in TEXTS.items()},
            "ptb.train.txt has 1,720 bytes, and 1,640",
        ),
    ],
)
def test_wrong_folders_are_refused(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    write(tmp_path / "brought", files)
    refused(lambda: take_folder(tmp_path / "brought"), said)


@pytest.mark.parametrize("path", ["/nowhere/at/all", "~nobody-at-all/data", "", "zero\0byte", "x" * 5000])
def test_a_folder_that_is_none_is_said(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match="name the folder that they are in"):
        take_folder(path)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "brought", without("ptb.train.txt"))
    os.mkfifo(tmp_path / "brought" / "ptb.train.txt")
    refused(lambda: take_folder(tmp_path / "brought"), "has no ptb.train.txt")


# What is kept


def test_without_the_corpus_reading_says_how_to_get_it() -> None:
    refused(load, "is not on this machine: fetch it", *OFFLINE)


@pytest.mark.parametrize("content", [None, b"short", WRONG["ptb.valid.txt"]])
def test_a_kept_file_that_broke_is_noticed_and_mended(content: bytes | None) -> None:
    take_archive(tgz())
    path = corpora.folder() / "ptb.valid.txt"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"ptb\.valid\.txt"):
        load()
    take_archive(tgz())
    assert is_whole()


def test_a_kept_file_that_broke_is_fetched_again(site: Site) -> None:
    take_archive(tgz())
    (corpora.folder() / "ptb.valid.txt").write_bytes(WRONG["ptb.valid.txt"])
    fetch()
    assert is_whole() and site.asked == 1


def test_a_wrong_archive_leaves_the_right_corpus_alone() -> None:
    take_archive(tgz())
    with pytest.raises(CorpusError):
        take_archive(tgz(WRONG))
    assert is_whole()


def test_many_at_once_keep_one_corpus_and_nobody_sees_a_part(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    states: set[tuple[str, ...]] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            try:
                states.add(tuple(sorted(path.name for path in corpora.folder().iterdir())))
            except FileNotFoundError:
                states.add(())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        tasks = [pool.submit(fetch) if number % 2 else pool.submit(take_archive, tgz()) for number in range(16)]
        for task in tasks:
            task.result()
    done.set()
    watcher.join()
    assert is_whole()
    assert states <= {(), tuple(sorted(NAMES))}


def test_another_server_that_was_quicker_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def too_late(path: Path, target: Path) -> Path:
        if target == corpora.folder():
            write(target, TEXTS)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", too_late)
    take_archive(tgz())
    assert is_whole()


def test_a_full_disk_is_said_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "ptb.test.txt":
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    refused(lambda: take_archive(tgz()), "cannot be written (No space left on device)", "UNROLLED_HOME")


def test_a_data_folder_that_cannot_be_written_is_said(site: Site, home: Path) -> None:
    home.write_text("a file")
    refused(fetch, "cannot be written", "UNROLLED_HOME")
