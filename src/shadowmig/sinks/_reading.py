"""
Reading findings files back, rotated ones included, while writers go on writing.

Danger: a file may end in a torn line, or have one in the middle where a writer died. Those are counted, never fatal;
a file that is not ours at all, or from a newer version, is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from attrs import frozen

from shadowmig.errors import RecordError
from shadowmig.model import Batch
from shadowmig.sinks import _format

_PATIENCE = 2.0  # seconds


@frozen
class Skipped:
    """
    A line that could not be used.

    Attributes:
        file: Path of the file.
        line: Line number, from 1.
        reason: Why, in a few words.
    """

    file: str
    line: int
    reason: str


@frozen
class ReadResult:
    """
    What findings files held.

    Attributes:
        batches: In the order they were written, oldest file first.
        skipped: Lines that could not be used.
        files: Paths of the files read, rotated ones included.
    """

    batches: tuple[Batch, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    files: tuple[str, ...] = ()


def read(*paths: str | os.PathLike[str]) -> ReadResult:
    """
    Read findings files, each with its rotated siblings (``PATH.1``, ``PATH.2``, ...), oldest first.

    A file named twice, as by a shell pattern that matches the siblings too, is read once; lock files are left out.
    An empty file has no batches. Everything is held in memory.

    Args:
        paths: The files.

    Raises:
        RecordError: If a path is missing, cannot be opened, is not a findings file, or was written by a newer version.
    """
    batches: list[Batch] = []
    skipped: list[Skipped] = []
    files: dict[tuple[int, int], str] = {}
    for path in map(Path, paths):
        if path.suffix == ".lock" and path.is_file() and path.stat().st_size == 0:
            continue
        with contextlib.ExitStack() as stack:
            for name, file in _open_all(path, stack):
                status = os.fstat(file.fileno())
                # By inode: a name may be rotated to another file between two arguments.
                if files.setdefault((status.st_dev, status.st_ino), name) is name:
                    _read_one(name, file, batches, skipped)
    return ReadResult(tuple(batches), tuple(skipped), tuple(files.values()))


def _open_all(path: Path, stack: contextlib.ExitStack) -> list[tuple[str, BinaryIO]]:
    """Open a file and its siblings, oldest first, while no writer rotates them."""
    with _no_rotation(path):
        names = [str(name) for _, name in sorted(_siblings(path), reverse=True)]
        # Right after a rotation, or a crash in one, the file itself is not there yet.
        if os.path.lexists(path) or not names:
            names.append(str(path))
        return [(name, stack.enter_context(_open(name))) for name in names]


def _siblings(path: Path) -> Iterator[tuple[int, Path]]:
    with contextlib.suppress(OSError):
        for sibling in path.parent.iterdir():
            number = sibling.name.removeprefix(f"{path.name}.")
            if number != sibling.name and number.isascii() and number.isdigit():
                yield int(number), sibling


def _open(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise RecordError(
            f"{path} cannot be read: {error.strerror or error}.", remedy="Give a findings file.", file=path, line=0
        ) from error


@contextlib.contextmanager
def _no_rotation(path: Path) -> Iterator[None]:
    """Hold the writers' lock, shared; without it, when it is not to be had (a copy, a read-only disk)."""
    try:
        lock = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _try_shared(lock) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield
    finally:
        os.close(lock)


def _try_shared(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: read as it is
    return True


def _read_one(name: str, file: BinaryIO, batches: list[Batch], skipped: list[Skipped]) -> None:
    for number, line in enumerate(file, start=1):
        try:
            if number == 1 and not _format.is_header(line, file=name):
                raise _format.NotALine("torn header")
            if line.strip() and (batch := _format.decode(line, file=name, number=number)) is not None:
                batches.append(batch)
        except _format.NotALine as error:
            skipped.append(Skipped(name, number, str(error)))
