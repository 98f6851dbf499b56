"""
The report of a round trip as plain data for programs: what ``shadowmig roundtrip --json`` prints.

Danger: people build gates on it. Keys may be added; a change of what a key means raises ``version``.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from shadowmig.errors import CodecError
from shadowmig.model import MISSING
from shadowmig.wire.roundtrip._edits import cost
from shadowmig.wire.roundtrip._model import Cell, Fault, RoundTripReport
from shadowmig.wire.roundtrip._shown import shown
from shadowmig.wire.tagged import to_tagged

VERSION: Final = 1

_BYTES: Final = 65_536
"""Bytes of a value kept; ``size`` has how many there were."""


def jsonable(report: RoundTripReport) -> dict[str, Any]:
    """Give a report as dicts, lists, texts and numbers."""
    return {
        "format": "shadowmig.roundtrip",
        "version": VERSION,
        "ok": report.ok,
        "conclusive": report.conclusive,
        "values": report.values,
        "seconds": report.seconds,
        "complete": report.complete,
        "seed": report.seed,
        "cells": [_cell(cell) for cell in report.cells],
        "faults": [_fault(fault) for fault in report.faults],
        "accepted": [_fault(fault) for fault in report.accepted],
        "broken": [_fault(fault) for fault in report.broken],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    counts = {outcome.value: count for outcome, count in cell.counts.items()}
    return {"writer": cell.writer, "reader": cell.reader, "via": cell.via, "counts": counts}


def _fault(fault: Fault) -> dict[str, Any]:
    data = fault.data
    return {
        "name": fault.name,
        "outcome": fault.outcome.value,
        "writer": fault.writer,
        "reader": fault.reader,
        "via": fault.via,
        "count": fault.count,
        "path": _text(fault.path),
        "paths": [_text(path) for path in fault.paths],
        "want": _value(fault.want),
        "got": _value(fault.got),
        "value": _value(fault.value),
        "data": None if data is None else base64.b64encode(data[:_BYTES]).decode(),
        "size": None if data is None else len(data),
        "flags": fault.flags,
        "error": _text(fault.error),
        "own": list(fault.own),
        "accepted": fault.accepted,
        "shrunk": fault.shrunk,
        "meaning": fault.meaning,
        "cause": fault.cause,
        "remedy": fault.remedy,
    }


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _value(value: Any) -> dict[str, Any] | None:
    """Give a value in tagged form, or, where it has none or is large, as the text that people see."""
    if value is MISSING:
        return None
    try:
        nodes, length, _ = cost(value)
        if nodes + length <= _BYTES:
            return {"tagged": to_tagged(value)}
    except (CodecError, RecursionError):
        pass
    return {"text": shown(value, 2_000)}
