"""
Writers times readers over a batch of values: who wrote what, what each reader made of it, and what came back.

Danger: writers get the values themselves. One that changes them is found out, and the others get what was written
before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import Factory, define, frozen

from shadowmig.errors import CompareError
from shadowmig.wire.roundtrip._classes import DROPS
from shadowmig.wire.roundtrip._edits import built, parts
from shadowmig.wire.roundtrip._judge import IDENTICAL, STRICT, Judge, Remark, Verdict, agree, of_error
from shadowmig.wire.roundtrip._model import Outcome
from shadowmig.wire.roundtrip._sides import Failed, Side, Written, failed, written
from shadowmig.wire.roundtrip._walk import plainly
from shadowmig.wire.values import plain

Key: TypeAlias = tuple[str, str, str]
"""Writer, reader and via of a cell; a writer alone has no reader."""

_UNREAD: Final = (Outcome.REFUSED, Outcome.BROKEN, Outcome.UNDECODABLE, Outcome.MISS)


@frozen
class Plan:
    """
    What to run.

    Attributes:
        writers: Those that write.
        cells: Those that are judged, the ways back last. A way back needs the cell of its first leg.
        stable: Those whose bytes are written twice.
    """

    writers: tuple[str, ...]
    cells: tuple[Key, ...]
    stable: frozenset[str]


@define
class Row:
    """
    What came of one value.

    Attributes:
        value: As it was given.
        want: In plain form, or `Failed`.
        written: Bytes and flags, or `Failed`, by writer.
        verdicts: By cell.
        notes: What concerns writers alone.
    """

    value: Any
    want: Any
    written: dict[str, Written] = Factory(dict)
    verdicts: dict[Key, Verdict] = Factory(dict)
    notes: list[tuple[Key, Remark]] = Factory(list)

    def remarks(self) -> Iterable[tuple[Key, Remark]]:
        """Give everything that went wrong, with its cell."""
        yield from self.notes
        for key, (_, remarks) in self.verdicts.items():
            for remark in remarks:
                yield key, remark

    @property
    def wrote(self) -> bool:
        """Whether any writer wrote it."""
        return any(isinstance(item, tuple) for item in self.written.values())

    def in_own(self, side: str, remark: Remark) -> bool:
        """Whether a side's own round trip shows the same for this value."""
        verdict = self.verdicts.get((side, side, ""))
        return verdict is not None and any(agree(remark, other) for other in verdict[1])


@frozen
class Matrix:
    """All writers and readers, and how they are judged."""

    writers: Mapping[str, Side]
    readers: Mapping[str, Side]
    judge: Judge

    def run(self, values: Sequence[Any], plan: Plan, until: float) -> list[Row]:
        """Have every writer of a plan write all values, and judge each cell; see `Side.run` on ``until``."""
        rows = [Row(value, self.judge.want(value)) for value in values]
        for name in plan.writers:
            self._write(name, rows, until, twice=name in plan.stable)
        for row in rows:
            _refusals(row, plan)
        kept = {(a, b) for a, _, b in plan.cells if b}
        reads: dict[tuple[str, str], list[Any]] = {}
        for key in plan.cells:
            writer, reader, via = key
            if via:
                self._way_back(key, rows, reads[writer, via], until)
            else:
                found = self._read(key, rows, until, keep=(writer, reader) in kept)
                reads[writer, reader] = found
        return rows

    def _write(self, name: str, rows: Sequence[Row], until: float, *, twice: bool) -> None:
        side = self.writers[name]
        good = [row for row in rows if not isinstance(row.want, Failed)]
        results = side.run([row.value for row in good], until)
        for row, result in zip(good, results, strict=True):
            row.written[name] = written(result)
        unstable = self._again(name, good, until) if twice else {}
        for row in good:
            if self._untouched(name, row) and id(row) in unstable:
                row.notes.append(((name, "", ""), Remark(unstable[id(row)], Outcome.EQUAL)))

    def _untouched(self, name: str, row: Row) -> bool:
        """Note a writer that changed the value; put it back, or, if that cannot be done, leave it out from now on."""
        now = self.judge.want(row.value)
        try:
            if not isinstance(now, Failed) and not STRICT(control=row.want, candidate=now):
                return True
            remark = Remark("writer changed the value", Outcome.DIFFERENT, want=row.want, got=now)
            # What is in plain form can be made anew of the plain form; a model inside it could not.
            again = type(row.value) in (dict, list) and not STRICT(control=now, candidate=row.value)
        except CompareError as error:  # it is too large
            remark, again = Remark("comparison failed", Outcome.BROKEN, error=str(failed(error))), False
        row.notes.append(((name, "", ""), remark))
        if again:
            row.value = plainly(plain, row.want)
        else:
            row.want = Failed("ValueError", f"the writer {name} changed the value", broken=True)
        return False

    def _again(self, name: str, rows: Sequence[Row], until: float) -> dict[int, str]:
        """Write once more, with keys in another order; give what bytes depend on, by the identity of rows."""
        side = self.writers[name]
        wrote = [row for row in rows if not isinstance(row.written[name], Failed)]
        results = side.run([reordered(row.value) for row in wrote], until)
        others = [
            row
            for row, result in zip(wrote, map(written, results), strict=True)
            if result != row.written[name] and not isinstance(result, Failed)
        ]
        found = {}
        for row, result in zip(others, map(written, side.run([row.value for row in others], until)), strict=True):
            unstable = not isinstance(result, Failed) and result != row.written[name]
            found[id(row)] = "unstable bytes" if unstable else "bytes depend on the order of keys"
        return found

    def _read(self, key: Key, rows: Sequence[Row], until: float, *, keep: bool) -> list[Any]:
        writer, reader, _ = key
        judge = self.judge.verdict
        readable = []
        for row in rows:
            item = row.written.get(writer)
            if isinstance(item, tuple) and not isinstance(row.want, Failed):
                readable.append(row)
            else:
                refused = isinstance(item, Failed) and not item.broken and not isinstance(row.want, Failed)
                row.verdicts[key] = (Outcome.REFUSED if refused else Outcome.BROKEN, ())
        reads = self.readers[reader].run([row.written[writer] for row in readable], until)
        found: dict[int, Any] = {}
        for row, read in zip(readable, reads, strict=True):
            row.verdicts[key] = judge(row.want, read, row.written[writer], row.written.get(reader))  # type: ignore[arg-type] # what could not be written is not read
            if keep:
                found[id(row)] = read
        return [found.get(id(row)) for row in rows]

    def _way_back(self, key: Key, rows: Sequence[Row], reads: Sequence[Any], until: float) -> None:
        writer, reader, via = key
        there = []
        for row, read in zip(rows, reads, strict=True):
            outcome = row.verdicts[writer, via, ""][0]
            if outcome in _UNREAD:
                row.verdicts[key] = (outcome, ())
            else:
                there.append((row, read))
        back = []
        read = [read for _, read in there]
        if len({id(each) for each in read}) < len(read):
            # A reader may give one object for all, which now holds the last: each is read again in its turn.
            read = self.readers[via].run([row.written[writer] for row, _ in there], until)
        results = self.writers[via].run(read, until)
        for (row, _), result in zip(there, results, strict=True):
            item = written(result)
            if not isinstance(item, Failed):
                back.append((row, item))
                continue
            outcome, remarks = of_error(Outcome.REFUSED, item)
            if not item.broken:
                remarks = (Remark("re-encoding refused", outcome, error=remarks[0].error),)
            row.verdicts[key] = (outcome, remarks)
        # What a reader makes of bytes that it was given already is known.
        new = [(row, item) for row, item in back if item not in (row.written.get(via), row.written.get(reader))]
        finals = self.readers[reader].run([item for _, item in new], until)
        verdicts = {
            id(row): self.judge.verdict(row.want, final, item) for (row, item), final in zip(new, finals, strict=True)
        }
        for row, item in back:
            verdict = verdicts.get(id(row))
            if verdict is None:
                verdict = row.verdicts[reader if item == row.written.get(reader) else via, reader, ""]
            elif verdict is IDENTICAL:
                verdict = (Outcome.EQUAL, ())  # of new bytes
            row.verdicts[key] = verdict if verdict is IDENTICAL else _news(row, key, verdict)


def _news(row: Row, key: Key, verdict: Verdict) -> Verdict:
    """Keep of a way back what its legs do not show, and fields that were lost."""
    writer, _, via = key
    legs = [(writer, via, ""), (via, writer, ""), (writer, writer, ""), (via, via, "")]
    known = {(one.path, one.group) for leg in legs for one in row.verdicts.get(leg, IDENTICAL)[1]}
    lost_before = {one.path for one in row.verdicts.get((writer, writer, ""), IDENTICAL)[1] if one.name in DROPS}
    remarks = []
    for one in verdict[1]:
        if one.name in DROPS and one.path not in lost_before:
            remarks.append(Remark("re-encoding drops unknown fields", one.outcome, one.path, one.want, one.got))
        elif (one.path, one.group) not in known and one.outcome is not Outcome.EQUAL:
            remarks.append(one)
    return verdict[0], tuple(remarks)


def _refusals(row: Row, plan: Plan) -> None:
    """Note writers that raised, and what says nothing of the value."""
    if isinstance(row.want, Failed):
        if not row.notes:
            row.notes.append(((plan.writers[0], "", ""), Remark("no plain form", Outcome.BROKEN, error=str(row.want))))
        return
    for name, item in row.written.items():
        if isinstance(item, Failed):
            row.notes.append(((name, "", ""), of_error(Outcome.REFUSED, item)[1][0]))


def reordered(value: Any) -> Any:
    """Give an equal value whose dicts have their keys in another order."""
    try:
        return _reordered(value)
    except Exception:  # noqa: BLE001 - a model may refuse to be built anew; then only "twice" is tested
        return value


def _reordered(value: Any) -> Any:
    if type(value) is dict:
        return {key: _reordered(value[key]) for key in reversed(value)}
    inner = parts(value)
    return built(value, {key: _reordered(each) for key, each in inner}) if inner else value
