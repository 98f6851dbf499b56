"""
The text of a findings file: a header line, then one JSON object a line.

Danger: files outlive versions. What this module writes, every later version reads; a change that an older reader
would misunderstand raises `VERSION`. New keys do not: readers skip keys they do not know.

    {"type": "header", "format": "shadowmig.findings", "version": 1}
    {"type": "batch", "source": ..., "migration": ..., "label": ..., "at": ..., "findings": [...],
     "summaries": [...], "lost": 0}                                          (on one line)

A header may come again in the middle, so files can be joined with ``cat``.
"""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shadowmig.errors import RecordError
from shadowmig.model import Batch, Example, Finding, RuleUse, Summary

if TYPE_CHECKING:
    from cattrs.preconf.json import JsonConverter

FORMAT = "shadowmig.findings"
VERSION = 1
HEADER = (json.dumps({"type": "header", "format": FORMAT, "version": VERSION}) + "\n").encode("ascii")


class NotALine(ValueError):
    """A line that is no batch; its text says why."""


@functools.cache
def converter() -> JsonConverter:
    """Return the converter of batches, built (and cattrs imported) at the first call."""
    from cattrs.preconf.json import make_converter

    made = make_converter()
    made.register_structure_hook(datetime, lambda value, _: _time(value))
    return made


def warm_up() -> None:
    """Import and build all that writing a batch needs."""
    now = datetime.now(UTC)
    finding = Finding("", "", "", "", "changed", ("", ""), 0, now, now, examples=(Example("", now, ""),))
    encode(Batch("", "", "", now, (finding,), (Summary("", rules=(RuleUse("", 0),)),)))


def _time(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def encode(batch: Batch) -> bytes:
    """
    Return the line of a batch, its line break included.

    The text is plain ASCII, so a lone surrogate survives and no encoding can get in the way.
    """
    fields = converter().unstructure(batch, unstructure_as=Batch)
    return json.dumps({"type": "batch", **fields}, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes, *, file: str, number: int) -> Batch | None:
    """
    Read one line.

    Args:
        line: The line, with or without its break.
        file: Name of the file, for messages.
        number: Line number from 1, for messages.

    Returns:
        The batch, or ``None`` for a header.

    Raises:
        NotALine: If the line is torn or not ours.
        RecordError: If a header says that a newer version wrote what follows.
    """
    record = _load(line)
    kind = record.pop("type", None)
    if kind == "header":
        check_header(record, file=file, number=number)
        return None
    if kind != "batch":
        raise NotALine(f"unknown type of record {str(kind)[:40]!r}")
    try:
        return converter().structure(record, Batch)
    except RecursionError:
        raise NotALine("nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - cattrs raises groups, and whatever int() or datetime raise
        from cattrs import transform_error

        raise NotALine(f"not a batch: {'; '.join(transform_error(error)[:3])}"[:300]) from None


def check_header(record: dict[str, Any], *, file: str, number: int = 1) -> None:
    """Raise `RecordError` if a header is not of this format, or of a newer version of it."""
    if record.get("format") != FORMAT:
        raise RecordError(
            f"{file} is not a findings file.", remedy="Give a file that JsonLines wrote.", file=file, line=number
        )
    version = record.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise RecordError(
            f"{file} has format version {version!r}, and this shadowmig reads up to {VERSION}.",
            remedy="Upgrade shadowmig to read it.",
            file=file,
            line=number,
            version=version,
        )


def is_header(line: bytes, *, file: str) -> bool:
    """
    Tell whether the first line of a file is a whole header.

    Returns:
        False when it is the torn beginning of one.

    Raises:
        RecordError: If it is something else, or a newer header.
    """
    if not line.endswith(b"\n") and HEADER.startswith(line):
        return False
    try:
        record = _load(line)
    except NotALine:
        record = {}
    check_header(record if record.get("type") == "header" else {}, file=file)
    return True


def _load(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise NotALine("torn, or not JSON") from None
    if not isinstance(record, dict):
        raise NotALine("not a JSON object")
    return record
