"""
`Completeness`: every committed change of a table has exactly one event, and every event has a change, as a count.

A check of production::

    check = Completeness(
        "comments",
        store=PostgresStore(DSN, tables=[Table("comments", key="id", version="version")]),
        events=RedisEvents(URL, Stream("comment_events", payload="body", codec=Json())),
        entity=lambda event: event["comment_id"],
        version=lambda event: event["version"],
        deleted=lambda event: event["type"] == "deleted",
    )
    with check:
        ...
    print(check.report())  # comments: 41,207 changes, 41,207 events, 0 missing as of 2026-03-01 12:00:00 UTC

The version of a row says how many changes it had. So a row at version 7, which was at 4 when the check began, stands
for three changes, and each needs an event with its version, whether or not anybody saw the row in between. Production
and sister have a check each.

Danger: each look at a Postgres table reads all of it, for no index knows what was written last. Where that is too much,
name an indexed column with the time of the last change as ``recent``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal, Self

from shadowmig.errors import ConfigError
from shadowmig.given import seconds
from shadowmig.protocols import Store
from shadowmig.stores.tables import Table
from shadowmig.wire.events.completeness._book import Book, FaultKind, Told
from shadowmig.wire.events.completeness._check import AnyLedger, Check
from shadowmig.wire.events.completeness._events import EventReading, hashable, whole
from shadowmig.wire.events.completeness._ledger import Ledger
from shadowmig.wire.events.completeness._report import CompletenessFault, CompletenessReport, side_by_side
from shadowmig.wire.events.completeness._rows import name_of, rows_of
from shadowmig.wire.events.completeness._weak import WeakLedger
from shadowmig.wire.events.event import EventSource

__all__ = ["Completeness", "CompletenessFault", "CompletenessReport", "FaultKind", "side_by_side"]

_log: Final = logging.getLogger("shadowmig")


class Completeness:
    """
    Counts the changes of one table and their events, of production or of the sister.

    Both are only read. Rows and events are put together by the text of their key, so ``7`` and ``"7"`` are one entity;
    of a key of several columns, ``entity`` gives a tuple or list in the order of the table's key.

    Args:
        name: What reports call it.
        store: The store: a `PostgresStore`, a `MemoryStore`, or another one that tells what changed since a mark.
        table: The table's name among those of the store, or a `Table`. By default the only one there is.
        events: The stream. Several checks may read one stream.
        entity: Takes the key of the row out of an event's value; ``None`` for an event about something else. By default
            what the source itself takes.
        version: Takes out the version that the change made, in the same way.
        deleted: Tells of an event whether the row was deleted. That event's version is above the row's last. Without
            this function any event with a higher version may be the one of a deletion, and no key may be used again.
        where: Tells of a row, as a dict, whether it is covered. It may only look at what never changes in a row, and
            ``entity`` has to give ``None`` for events about the other rows.
        grace: Seconds for which a change may be without its event, or an event without its change. More than the
            longest transaction, and the longest way of an event.
        first: The version of a new row.
        step: What each change adds to the version; ``None`` if versions do not count changes, such as times. Then only
            states that were seen are required, which is weak.
        baseline: ``"scan"``: all rows are read once, so that every later change is known. ``"now"``: a row is only
            known from its first change that is seen on, which is the first one required.
        recent: A column of Postgres with the time of the last change, and an index. Then only rows are looked at that
            have changed since the last look, by this column.
        sweep: Rows a second that are looked at again, to find those that were deleted without an event; 0 for none.
        interval: Seconds between two looks.
        clock: Gives seconds.

    Raises:
        ConfigError: An option is wrong.
    """

    def __init__(  # noqa: PLR0913 - options of a check, all given by name
        self,
        name: str,
        *,
        store: Store,
        events: EventSource,
        table: str | Table | None = None,
        entity: Callable[[Any], Any] | None = None,
        version: Callable[[Any], Any] | None = None,
        deleted: Callable[[Any], Any] | None = None,
        where: Callable[[Mapping[str, Any]], Any] | None = None,
        grace: float | timedelta = 30.0,
        first: int = 1,
        step: int | None = 1,
        baseline: Literal["scan", "now"] = "scan",
        recent: str | None = None,
        sweep: float = 1000.0,
        interval: float | timedelta = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for what, function in (("entity", entity), ("version", version), ("deleted", deleted), ("where", where)):
            if function is not None and not callable(function):
                raise _wrong(what, function, "Give a function.")
        if not isinstance(name, str) or not name:
            raise _wrong("name", name, "Give a text.")
        if not isinstance(events, EventSource):
            raise _wrong("events", events, "Use RedisEvents(...) or another EventSource.")
        if baseline not in ("scan", "now"):
            raise _wrong("baseline", baseline, 'Use "scan" or "now".')
        if type(first) is not int:
            raise _wrong("first", first, "Use a whole number.")
        if step is not None and (type(step) is not int or step < 1):
            raise _wrong("step", step, "Use a whole number of 1 or more, or None.")
        if isinstance(sweep, bool) or not isinstance(sweep, int | float) or not 0 <= sweep < float("inf"):
            raise _wrong("sweep", sweep, "Use rows a second, or 0.")
        if recent is not None and (not isinstance(recent, str) or not recent):
            raise _wrong("recent", recent, "Name a column.")
        self._name = name
        self._weak = step is None
        self._interval = seconds(interval, "interval")
        self._clock = clock
        span, read = seconds(grace, "grace"), hashable if step is None else whole
        rules: dict[str, Any] = {"grace": span, "deletes": deleted is not None, "scanned": baseline == "scan"}
        self._check = Check(
            rows_of(store, _table(store, table), where, recent, span),
            EventReading(events, entity, version, deleted, read),
            partial(_weak_ledger, **rules)
            if step is None
            else partial(_strong_ledger, first=first, step=step, **rules),
            read,
            span,
            baseline == "scan",
            float(sweep),
            clock,
        )
        _check_told(events, entity=entity, version=version)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._report = CompletenessReport(name, weak=self._weak)

    def __repr__(self) -> str:
        return f"<Completeness {self._name!r}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Look every ``interval``, in a thread, until `stop`. The base is taken in the first look."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name=f"shadowmig {self._name}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it. A later `start` goes on where it was."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def step(self) -> CompletenessReport:
        """
        Take one look, in this thread; the first one takes the base.

        Returns:
            What is known now. If something could not be read, `CompletenessReport.unavailable` says so; nothing is
            raised, and the next look tries again.
        """
        with self._lock:
            self._check.round()
            self._report = self._reported()
        return self._report

    def finish(self, timeout: float | timedelta | None = None) -> CompletenessReport:
        """
        Look until everything up to now is decided; that takes the grace, and more of them where faults are.

        Args:
            timeout: Seconds after which it is given up; by default the grace five times, and ten seconds.
        """
        if self._thread is None:
            self._stop.clear()
        limit = self._check.grace * 5 + 10 if timeout is None else seconds(timeout, "timeout", zero=True)
        began = self._clock()
        while True:
            report, now = self.step(), self._clock()
            decided = self._check.decided
            if (decided is not None and decided >= began) or now >= began + limit:
                return report
            self._stop.wait(min(self._interval, max(0.0, began + limit - now)))

    def report(self) -> CompletenessReport:
        """Give what was known after the last look."""
        return self._report

    def faults(self) -> tuple[CompletenessFault, ...]:
        """List the faults that stand, the oldest first; at most ten thousand."""
        return self._faults(list(self._check.book.standing.values()))

    def late(self) -> tuple[CompletenessFault, ...]:
        """List the faults that were taken back, the oldest first; at most the last ten thousand."""
        return self._faults(list(self._check.book.back))

    def hydrated(self, key: Any, version: Any) -> None:
        """
        Tell that a row is about to be put into the sister as it is in production, which needs no event.

        To be called before it is written, in the process that has the sister's check.

        Args:
            key: The row's key: its value, or a tuple of those of several columns.
            version: The version that it will have; ``None`` if it is removed.
        """
        self._check.notes.append((name_of(key), version))

    def renew(self) -> None:
        """Take a new base in the next look, as after rows were changed by hand. What is undecided is dropped."""
        with self._lock:
            self._check.renew("a new base was asked for")

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
            except Exception:  # noqa: BLE001 - the thread has to go on, whatever a look raised
                _log.exception("The check of completeness %r goes on after an error.", self._name)
            self._stop.wait(self._interval)

    def _faults(self, found: Sequence[Told]) -> tuple[CompletenessFault, ...]:
        time_of = self._times()
        lags = [None if told.back is None else told.back - told.since for told in found]
        return tuple(
            [
                CompletenessFault(told.kind, told.entity, told.version, time_of(told.since), lag)
                for told, lag in zip(found, lags, strict=True)
            ]
        )

    def _times(self) -> Callable[[float], datetime]:
        """Give what turns seconds of the clock into times of day, as of now."""
        now, tick = datetime.now(UTC), self._clock()
        return lambda at: now - timedelta(seconds=tick - at)

    def _reported(self) -> CompletenessReport:
        check, book, ledger = self._check, self._check.book, self._check.ledger
        time_of = self._times()
        return CompletenessReport(
            self._name,
            matched=book.matched,
            missing=book.missing,
            extra=book.counts[FaultKind.EXTRA],
            doubled=book.counts[FaultKind.DOUBLED],
            late=book.late,
            earlier=book.earlier,
            unexplained=book.unexplained,
            unversioned=book.unversioned,
            open=check.open,
            as_of=None if check.decided is None else time_of(check.decided),
            swept=None if check.swept is None else time_of(check.swept),
            base=None if ledger is None else time_of(ledger.began),
            renewed=check.renewed,
            weak=self._weak,
            unavailable=check.unavailable,
        )


def _strong_ledger(book: Book, began: float, **options: Any) -> AnyLedger:
    return Ledger(book, began=began, **options)


def _weak_ledger(book: Book, began: float, **options: Any) -> AnyLedger:
    return WeakLedger(book, began=began, **options)


def _table(store: Store, table: str | Table | None) -> Table:
    tables = getattr(store, "tables", None)
    if not isinstance(tables, Mapping):
        raise _wrong("store", store, "Give a PostgresStore, or a MemoryStore: one side's, not a sister store.")
    if table is None and len(tables) == 1:
        table = next(iter(tables.values()))
    found = table if isinstance(table, Table) else tables.get(table or "")
    if found is None:
        raise _wrong("table", table, "Name one of the store's tables, or give a Table.")
    if found.version is None:
        raise _wrong("table", table, "Give its Table a version=.")
    if found.fold is not None:
        raise _wrong("table", table, "Give a Table without fold=, with the whole key of a row.")
    return found


def _check_told(events: EventSource, **functions: object) -> None:
    told = getattr(events, "tells", functions.keys())  # of another source it is not known
    for what, function in functions.items():
        if function is None and what not in told:
            raise _wrong(what, None, "Take it out of an event's value, here or in the source.")


def _wrong(field: str, value: object, remedy: str) -> ConfigError:
    return ConfigError(f"{field} is {value!r}.", remedy=remedy, field=field, value=value)
