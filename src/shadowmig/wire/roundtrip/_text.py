"""The report of a round trip as plain text: a table, and the faults below it, one block for each class."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shadowmig.model import MISSING
from shadowmig.sinks._printable import printable
from shadowmig.wire.roundtrip._model import Cell, Fault, Outcome, RoundTripReport
from shadowmig.wire.roundtrip._shown import shown

_WIDTH: Final = 100
_BLOCKS: Final = 60
"""Classes shown; the JSON has all."""

_PLACES: Final = 12
_ERRORS: Final = 4
_NAME: Final = 48


def text(report: RoundTripReport) -> str:
    """Give the report as lines of at most 100 columns, where names are not longer."""
    lines = [_head(report), "", *_table(report.cells)]
    for title, faults in (
        ("Faults", report.faults),
        ("It could not be told", report.broken),
        ("Does not count", report.accepted),
    ):
        if faults:
            lines += ["", title, "", *_blocks(faults, brief=title == "Does not count")]
    return "\n".join(line.rstrip() for line in lines)


def number(count: int) -> str:
    """Give a count with its thousands apart."""
    return f"{count:,}".replace(",", " ")


def _head(report: RoundTripReport) -> str:
    classes = len({fault.name for fault in report.faults})
    if report.faults:
        verdict = f"{number(classes)} class{'' if classes == 1 else 'es'} of faults"
    else:
        verdict = "no faults" if report.conclusive else "could not be told"
    cut = "" if report.complete else " (time ran out before all values were checked)"
    return (
        f"{number(report.values)} value{'' if report.values == 1 else 's'} in "
        f"{len(report.cells)} cell{'' if len(report.cells) == 1 else 's'}, "
        f"{report.seconds:.1f} s, seed {report.seed}: {verdict}{cut}"
    )


def _table(cells: Sequence[Cell]) -> Iterator[str]:
    columns = [outcome for outcome in Outcome if any(cell.counts.get(outcome) for cell in cells)]
    names = [printable(str(cell), _NAME) for cell in cells]
    first = max(map(len, names), default=0)
    yield "  ".join([" " * first, *(f"{column.value:>12}" for column in columns)])
    for name, cell in zip(names, cells, strict=True):
        counts = (cell.counts.get(column, 0) for column in columns)
        yield "  ".join([f"{name:<{first}}", *(f"{number(count) if count else '-':>12}" for count in counts)])


def _blocks(faults: Iterable[Fault], *, brief: bool) -> Iterator[str]:
    groups: dict[str, list[Fault]] = {}
    for fault in faults:
        groups.setdefault(fault.name, []).append(fault)
    for name, group in list(groups.items())[:_BLOCKS]:
        yield from _block(name, group, brief=brief)
    if len(groups) > _BLOCKS:
        yield f"  and {len(groups) - _BLOCKS} more"


def _block(name: str, group: Sequence[Fault], *, brief: bool) -> Iterator[str]:
    best = min(group, key=lambda fault: len(fault.data or b""))
    yield f"  {name}"
    for fault in group[:_PLACES]:
        own = f"; so does the own round trip of {printable(' and '.join(fault.own), _NAME)}" if fault.own else ""
        reason = f"; {fault.accepted}" if fault.accepted else ""
        yield from _wrapped(
            "    ", f"{number(fault.count):>9} x {printable(fault.place, 2 * _NAME)}{own}{reason}", " " * 16
        )
    if len(group) > _PLACES:
        yield f"    and {len(group) - _PLACES} more cells"
    if not brief:
        yield from _example(best)
        for error in list(dict.fromkeys(fault.error for fault in group if fault.error))[:_ERRORS]:
            yield from _wrapped("    error   ", printable(error, 400))
        yield from _wrapped("    means   ", best.meaning)
        yield from _wrapped("    cause   ", best.cause)
        yield from _wrapped("    remedy  ", best.remedy)
    yield ""


def _example(fault: Fault) -> Iterator[str]:
    if fault.value is not MISSING:
        smallest = "" if fault.shrunk else " (may not be the smallest)"
        yield from _wrapped("    value   ", shown(fault.value) + smallest)
    if fault.data is not None:
        yield from _wrapped("    bytes   ", shown(fault.data) + (f", flags {fault.flags}" if fault.flags else ""))
    if fault.want is not MISSING or fault.got is not MISSING:
        yield from _wrapped("    at      ", printable(", ".join(fault.paths) or fault.path, 300))
        yield from _wrapped("    wrote   ", shown(fault.want))
        yield from _wrapped("    read    ", shown(fault.got))


def _wrapped(start: str, line: str, rest: str = "") -> list[str]:
    return textwrap.wrap(
        line,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=rest or " " * len(start),
        drop_whitespace=True,
        break_on_hyphens=False,
    ) or [start]
