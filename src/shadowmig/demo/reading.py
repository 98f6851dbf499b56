"""
Real comments from a file of JSON lines.

A line is a comment object, or ``{"kind": "t1", "data": {...}}`` around one. Of its fields only those the services work
with must be what they are expected to be; all others are taken as they come.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from shadowmig.errors import RecordError
from shadowmig.sinks._printable import printable

_DEEPEST: Final = 100
_LATEST: Final = 200_000_000_000
"""Seconds since 1970; in the year 8307."""


def read_comments(path: Path) -> list[Mapping[str, Any]]:
    """
    Read comments.

    Args:
        path: The file, in UTF-8; blank lines are skipped.

    Raises:
        RecordError: It cannot be read, holds no comment, or a line is none; the message names file and line.
    """
    comments = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    comments.append(_comment(line, path, number))
    except OSError as error:
        raise _error(path, 0, f"cannot be read: {error.strerror or error}") from error
    if not comments:
        raise _error(path, 0, "holds no comments")
    return comments


def _error(path: Path, line: int, why: str) -> RecordError:
    where = printable(str(path)) + (f", line {line}" if line else "")
    return RecordError(f"{where}: {why}.", file=str(path), line=line)


def _comment(line: bytes, path: Path, number: int) -> Mapping[str, Any]:
    try:
        found = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_float)
        return _checked(found)
    except UnicodeDecodeError as error:
        raise _error(path, number, f"not UTF-8, at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise _error(path, number, f"not JSON: {error.msg}, at column {error.colno}") from error
    except RecursionError as error:
        raise _error(path, number, "nested too deeply") from error
    except ValueError as error:
        raise _error(path, number, printable(str(error))) from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"not JSON: {constant}")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"a number is too large: {text[:40]}")
    return value


def _checked(found: Any) -> Mapping[str, Any]:
    fields = found
    if isinstance(fields, dict) and "kind" in fields and "data" in fields:
        if fields["kind"] != "t1":
            raise ValueError(f"kind is {fields['kind']!r}, and only 't1' is a comment")
        fields = fields["data"]
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    for name in ("id", "body"):
        if not isinstance(fields.get(name), str) or (name == "id" and not fields[name]):
            raise ValueError(
                f"no comment: {name} must be a text" if name in fields else f"no comment: it has no {name}"
            )
    for name in ("author", "link_id"):
        if not isinstance(fields.get(name), str | None):
            raise ValueError(f"{name} must be a text or null")
    _check_numbers(fields)
    if _depth(fields) > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    return fields


def _check_numbers(fields: Mapping[str, Any]) -> None:
    score = fields.get("score")
    if score is not None and (type(score) is not int or abs(score) >= 2**63):
        raise ValueError("score must be a whole number of 64 bits, or null")
    for name in ("created_utc", "edited"):
        value = fields.get(name)
        if value is None or (name == "edited" and isinstance(value, bool)):
            continue
        if type(value) not in (int, float) or not 0 <= value < _LATEST:
            raise ValueError(f"{name} must be a time in seconds since 1970")


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        level, depth = [each for each in below if isinstance(each, dict | list)], depth + 1
    return depth
