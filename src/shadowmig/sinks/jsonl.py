"""
Findings as a file of JSON lines, shared by any number of processes on one machine.

**When:** the usual choice. ``shadowmig report FILE`` reads it.
**Example:** ``Migration("comments", sinks=[JsonLines("/var/log/comments/findings.jsonl")])``
**Units:** ``max_bytes`` is bytes, ``keep`` files, ``patience`` seconds.
**When it is down** (disk full, folder gone, lock held): the call raises `OSError`, a half-written line is taken back,
and the batch stays in the spool for the next try.

A batch holds totals, not increments, so the last line about a finding tells all about it, and rotation loses nothing
about findings that still occur. A finding that stopped occurring is forgotten once its file is rotated away: with the
defaults after 320 MiB.

Danger: `flock` works between processes of one machine. On NFS give each host its own file; the reader takes several.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from shadowmig.errors import ConfigError, RecordError
from shadowmig.model import Batch
from shadowmig.sinks import _format
from shadowmig.sinks._reading import ReadResult, Skipped, read

__all__ = ["JsonLines", "ReadResult", "Skipped", "read"]

_MODE = 0o640  # redacted, but still production's data
_POLL = 0.01


class JsonLines:
    """
    Append batches to a file and rotate it by size.

    Nothing is kept open or buffered between calls, so forks, deleted files and rotation by others do no harm.
    Writers take turns by a lock on ``PATH.lock``. Rotated files are ``PATH.1`` (the youngest) to ``PATH.<keep>``.

    Args:
        path: The file; its folder must exist. A relative path is resolved now.
        max_bytes: Size in bytes above which the file is rotated; at least 4096. One larger batch is still written,
            to a file of its own.
        keep: Number of rotated files kept besides the current one; at least 1.
        fsync: Whether each batch is forced to the disk, so that it survives a crash of the machine.
        patience: Seconds to wait for the lock before giving up with `TimeoutError`.

    Raises:
        ConfigError: If an option is out of range, the folder is missing or not writable, or the path is a folder,
            not writable, or not a findings file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = 64 * 1024 * 1024,
        keep: int = 5,
        fsync: bool = False,
        patience: float = 5.0,
    ) -> None:
        for name, given, least in (("max_bytes", max_bytes, 4096), ("keep", keep, 1), ("patience", patience, 0)):
            if given < least:
                raise ConfigError(f"{name} must be at least {least}, not {given}.", field=name, value=given)
        self._path = Path(path).absolute()
        self._max_bytes = max_bytes
        self._keep = keep
        self._fsync = fsync
        self._patience = patience
        _check(self._path)
        # Now, in the thread that builds the service: an import under way in another thread does not survive a fork.
        _format.warm_up()

    def __repr__(self) -> str:
        return f"JsonLines({str(self._path)!r})"

    def __call__(self, batch: Batch) -> None:
        """
        Append a batch with one write.

        Raises:
            OSError: If the file cannot be written now; it is as it was before.
            RecordError: If something else, or a newer shadowmig, has put another file there.
        """
        line = _format.encode(batch)
        with self._lock():
            self._rotate(len(line))
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            file = os.open(self._path, flags, _MODE)
            try:
                self._append(file, line)
            finally:
                os.close(file)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        file = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            deadline = time.monotonic() + self._patience
            # Polled, not awaited: a stopped process that holds the lock must not hang every other one.
            while not _try(file):
                if time.monotonic() >= deadline:
                    raise TimeoutError(
                        errno.ETIMEDOUT,
                        f"the lock was held by another process for {self._patience} s",
                        f"{self._path}.lock",
                    )
                time.sleep(_POLL)
            try:
                yield
            finally:
                # Unlocked by name: a child forked meanwhile has a copy of the descriptor, which would keep it.
                fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            os.close(file)

    def _rotate(self, more: int) -> None:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return
        if size <= len(_format.HEADER) or size + more <= self._max_bytes:
            return
        for number in range(self._keep, 0, -1):
            # A gap is left by a crash between two renames; the next round closes it.
            with contextlib.suppress(FileNotFoundError):
                older = self._path if number == 1 else Path(f"{self._path}.{number - 1}")
                older.rename(f"{self._path}.{number}")

    def _append(self, file: int, line: bytes) -> None:
        size = _sound_size(file, self._path)
        start = b""
        if size == 0:
            start = _format.HEADER
        elif os.pread(file, 1, size - 1) != b"\n":
            start = b"\n"  # a writer died in its line; ours must not be glued to it
        data = start + line
        try:
            if os.write(file, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            if self._fsync:
                os.fsync(file)
        except BaseException:
            # We hold the lock, so nobody has appended since. If even this fails, the torn line is skipped by readers.
            with contextlib.suppress(OSError):
                os.ftruncate(file, size)
            raise


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sound_size(file: int, path: Path) -> int:
    """Return the size in bytes after making sure the file is ours; one that ends inside its header is emptied."""
    size = os.fstat(file).st_size
    if size and not _format.is_header(_first_line(file), file=str(path)):
        os.ftruncate(file, 0)
        return 0
    return size


def _first_line(file: int) -> bytes:
    head = os.pread(file, 4096, 0)
    return head[: head.find(b"\n") + 1] or head


def _check(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        problem = f"the folder {folder} does not exist"
    elif not os.access(folder, os.W_OK | os.X_OK):
        problem = f"the folder {folder} is not writable"  # it must be, for the lock and for rotation
    else:
        # Another writer may rotate the file away at any moment; then there is none, and nothing is wrong with it.
        try:
            problem = _foreign(path)
        except FileNotFoundError:
            problem = ""
        except PermissionError:
            problem = "it is not readable and writable"
    if problem:
        raise ConfigError(
            f"path {path} cannot be used: {problem}.",
            remedy="Give a file in an existing, writable folder.",
            field="path",
            value=str(path),
        )


def _foreign(path: Path) -> str:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        return "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file"
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        head = _first_line(file)
        if head:
            _format.is_header(head, file=str(path))
    except RecordError as error:
        return error.message.rstrip(".")
    finally:
        os.close(file)
    return ""
