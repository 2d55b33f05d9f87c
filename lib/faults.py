"""What can be wrong with the place where runs are kept, and what to do about it, in words for people."""

import errno
import sqlite3

import sqlalchemy as sa

from lib.sqlite import NewerFolderError

FAULTS = (OSError, sa.exc.DBAPIError, sa.exc.TimeoutError)
FULL, CLOSED = (errno.ENOSPC, errno.EDQUOT), (errno.EACCES, errno.EPERM, errno.EROFS)
# Our own code is the cause of these, unless somebody took our rights or the tables away (PostgreSQL's numbers).
_OURS = (sa.exc.ProgrammingError, sa.exc.DataError, sa.exc.IntegrityError, sa.exc.NotSupportedError)
_NOT_OURS = ("42501", "42P01", "3F000")
_GRANT = "give its user the right to make tables and change them"
# Parts of what PostgreSQL says, what they mean, and the remedy.
_SAID = {
    "no space left": ("The disk of {} is full", "make room on it"),
    "read-only": ("{} can only be read", "name one in UNROLLED_STORE that can be written to"),
    "too many": ("{} has no connection left", "raise its max_connections"),
    "connection slots": ("{} has no connection left", "raise its max_connections"),
    "lock timeout": ("Another program holds {}", "end that program"),
    "permission denied": ("{} does not let this server write", _GRANT),
    "no schema": ("{} does not let this server write", _GRANT),
    "authentication failed": ("{} does not let this server in", "correct the user or the password"),
    "no password": ("{} asks for a password", "write it into UNROLLED_STORE or into ~/.pgpass"),
    "pg_hba.conf": ("{} does not let this server in", "let it in by a line in pg_hba.conf"),
    'role "': ("{} does not know this user", "make it with createuser, or correct UNROLLED_STORE"),
    "does not exist": ("{} does not exist", "make it with createdb, or correct UNROLLED_STORE"),
}


class AddressError(OSError):
    """The database that UNROLLED_STORE names cannot be used by this program before it is started anew."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


def is_ours(error: Exception) -> bool:
    """Whether it is not the place that is to blame for an error, but this program."""
    return isinstance(error, _OURS) and getattr(error.orig, "sqlstate", None) not in _NOT_OURS


def is_lost(error: Exception) -> bool:
    """Whether there is no way to a database, so that it would only take time to ask it anything."""
    if isinstance(error, sa.exc.DBAPIError) and not isinstance(error.orig, sqlite3.Error):
        return error.connection_invalidated or error.statement is None
    return isinstance(error, sa.exc.TimeoutError)


def in_one_line(error: Exception, name: str) -> str:
    """What is wrong with the place of this name, and what can be done about it."""
    what, remedy = _explained(error, name)
    return f"{what}: {remedy}."


def for_everyone(error: Exception, name: str) -> str:
    """The same for those who use the server, with what it means for them."""
    what, remedy = _explained(error, name)
    then = " and start it again" if isinstance(error, AddressError) else "; what was missed is then saved by itself"
    return (
        f"{what}. Runs go on, but they are kept in memory only and are lost when the server ends. "
        f"Whoever looks after this server can {remedy}{then}."
    )


def _explained(error: Exception, name: str) -> tuple[str, str]:
    if isinstance(error, AddressError):
        return error.what, error.remedy
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(error, sa.exc.SQLAlchemyError) and not isinstance(cause, sqlite3.Error):
        return _of_a_database(cause, name)
    return _of_a_folder(cause)


def _of_a_database(error: BaseException | None, name: str) -> tuple[str, str]:
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for part, (what, remedy) in _SAID.items():
        if part in text.lower():
            return what.format(name), remedy
    return f"{name} cannot be reached ({text})", "start it, or correct UNROLLED_STORE"


def _of_a_folder(error: BaseException | None) -> tuple[str, str]:
    number, text = getattr(error, "errno", None), str(error).lower()
    if isinstance(error, NewerFolderError):
        return "The data folder belongs to a later version of Unrolled", "start that version, or name another folder"
    if number in FULL or "full" in text:
        return "The disk with the data folder is full", "make room on it"
    if number in CLOSED or "readonly" in text or "unable to open" in text:
        return "The data folder cannot be written to", "let this server write there"
    if "locked" in text:
        return "Another program holds the data folder's database", "end that program"
    return f"The data folder cannot be used ({error})", "look into the server's log"
