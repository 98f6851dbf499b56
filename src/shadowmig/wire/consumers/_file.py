"""
Recorded events as JSON lines: pairs of bytes, production's and the sister's, in base64.

Danger: the bytes are production's own, as they are. The file is for its owner's eyes only (mode 0600).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from shadowmig.errors import ConfigError, RecordError

FORMAT: Final = "shadowmig-events"
VERSION: Final = 1
LONGEST: Final = 256 * 1024 * 1024
"""Bytes of the longest line that is read."""

_HEADER: Final = json.dumps({"format": FORMAT, "version": VERSION}).encode() + b"\n"


@frozen
class Pair:
    """
    The same event on both sides.

    Attributes:
        production: Its bytes in production.
        sister: Its bytes as the candidate wrote it.
        id: What it is called; empty if it has no name.
    """

    production: bytes
    sister: bytes
    id: str = ""


@contextlib.contextmanager
def record(path: str | os.PathLike[str]) -> Iterator[Callable[[Pair], None]]:
    """
    Write pairs to a file for `Consumer.replay`.

    ``with record("pairs.jsonl") as write: write(Pair(old, new))``

    A file that is there is added to. Every pair is written at once, so a crash loses none; several processes may write.

    Raises:
        ConfigError: The file is none of ours, is a link, or can be read by others.
        OSError: It cannot be written.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.open(path, flags, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # or two that begin at once would write two first lines
        _begin(file, os.fspath(path))
        fcntl.flock(file, fcntl.LOCK_UN)

        def write(pair: Pair) -> None:
            sides = {name: base64.b64encode(getattr(pair, name)).decode() for name in ("production", "sister")}
            line = json.dumps({"id": pair.id} | sides).encode() + b"\n"
            if os.write(file, line) != len(line):
                raise OSError(f"the disk is full: {os.fspath(path)!r} ends in half a line")

        yield write
    finally:
        os.close(file)


def _begin(file: int, path: str) -> None:
    status = os.fstat(file)
    if status.st_mode & 0o077:
        raise ConfigError(
            f"{path!r} can be read by others.",
            remedy="It holds production's data: give it mode 0600.",
            field="path",
            value=path,
        )
    if status.st_size == 0:
        os.write(file, _HEADER)
        return
    try:
        _check_header(os.pread(file, 4096, 0).partition(b"\n")[0], path)
    except RecordError as error:
        raise ConfigError(str(error), remedy="Give another file.", field="path", value=path) from None
    if os.pread(file, 1, status.st_size - 1) != b"\n":
        os.write(file, b"\n")  # somebody died in a line; ours must not be glued to it


def read(path: str | os.PathLike[str]) -> Iterator[Pair | RecordError]:
    """
    Read a file that `record` wrote.

    Yields:
        Pairs; for a line that is none, the error that says why.

    Raises:
        RecordError: It is none of ours, or of a newer version.
        OSError: It cannot be read.
    """
    name = os.fspath(path)
    with Path(path).open("rb") as file:
        _check_header(file.readline(4096), name)
        number = 1
        while line := file.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST)
                yield _bad(name, number, f"it is longer than {LONGEST} bytes")
            elif line.strip():
                yield _pair(line, name, number)


def _pair(line: bytes, path: str, number: int) -> Pair | RecordError:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return _bad(path, number, "it is no JSON" if line.endswith(b"\n") else "it is cut")
    if not isinstance(found, dict):
        return _bad(path, number, "it is no object")
    sides: list[bytes] = []
    for name in ("production", "sister"):
        try:
            sides.append(base64.b64decode(found[name], validate=True))
        except KeyError:
            return _bad(path, number, f"{name} is missing")
        except (ValueError, TypeError):
            return _bad(path, number, f"{name} is no base64")
    return Pair(sides[0], sides[1], id=str(found.get("id") or ""))


def _check_header(line: bytes, path: str) -> None:
    try:
        header: Any = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise RecordError(f"{path!r} is no file of recorded events.", file=path, line=1)
    if header.get("version") != VERSION:
        raise RecordError(
            f"{path!r} has version {header.get('version')!r} of the format, and this is {VERSION}.",
            remedy="Use the shadowmig that wrote it.",
            file=path,
            line=1,
        )


def _bad(path: str, number: int, problem: str) -> RecordError:
    return RecordError(f"Line {number} of {path!r} is no pair of events: {problem}.", file=path, line=number)
