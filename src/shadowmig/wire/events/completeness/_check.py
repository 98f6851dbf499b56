"""The check of completeness, round after round: read events, look at rows, look again at what is in doubt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from attrs import define, field

from shadowmig.errors import StoreError
from shadowmig.wire.events.completeness._book import Book
from shadowmig.wire.events.completeness._events import EventReading, Lost
from shadowmig.wire.events.completeness._ledger import Ledger
from shadowmig.wire.events.completeness._rows import Rows, Seen
from shadowmig.wire.events.completeness._weak import WeakLedger

_PAGES: Final = 100
"""Pages of events read in one round, before rows are looked at again."""

_CHUNK: Final = 1000
"""Single rows looked at in one round trip."""

AnyLedger = Ledger | WeakLedger


@define(eq=False)
class Check:
    """
    The state of one check, and what it reads.

    Attributes:
        rows: The rows.
        events: The events.
        make: Makes a ledger that begins at a time.
        read: Reads a version.
        grace: Seconds.
        scan: Whether all rows are read once, for the base.
        sweep: Rows a second that are looked at again, to see that they are still there.
        clock: Gives seconds.
        book: The numbers.
        ledger: What is known; ``None`` before there is a base.
        renewed: How often a new base was taken.
        unavailable: What cannot be read, and why.
        open: What is not decided.
        decided: Up to when everything is.
        swept: Up to when deletions without an event are decided.
        notes: Hydrated rows that the ledger does not know of yet.
    """

    rows: Rows
    events: EventReading
    make: Callable[[Book, float], AnyLedger]
    read: Callable[[Any], Any]
    grace: float
    scan: bool
    sweep: float
    clock: Callable[[], float]
    book: Book = field(factory=Book)
    ledger: AnyLedger | None = None
    renewed: int = 0
    unavailable: str = ""
    open: int = 0
    decided: float | None = None
    swept: float | None = None
    notes: deque[tuple[str, Any]] = field(factory=deque)
    _lap: Iterator[Sequence[str]] | None = None
    _lap_began: float = 0.0
    _laps: deque[tuple[float, float]] = field(factory=deque)
    _credit: float = 0.0
    _last: float | None = None

    def round(self) -> None:
        """Do one round. What cannot be read is told by `unavailable`, and tried again in the next."""
        side = "events"
        try:
            if self.ledger is None:
                side = "base"
                self.ledger = self._begin()
            side = "events"
            ended = self._read_events(self.ledger)
            side = "rows"
            self._look(self.ledger, ended)
        except Lost as error:
            self.renew(f"events: the stream was {error}")
        except StoreError as error:
            if getattr(error, "anew", False):
                self.renew(f"rows: {error}")
            self.unavailable = f"{side}: {error}"
        else:
            self.unavailable = ""
        self._conclude()

    def renew(self, reason: str) -> None:
        """Forget what is undecided, and take a new base in the next round."""
        self.ledger, self._lap, self.swept, self.unavailable = None, None, None, reason
        self.open, self.decided = 0, None
        self._laps.clear()
        self.renewed += 1

    def _conclude(self) -> None:
        """Work out what is decided."""
        self.open, self.decided = (0, None) if self.ledger is None else self.ledger.decided()
        while self.decided is not None and self._laps and self._laps[0][1] <= self.decided:
            self.swept = self._laps.popleft()[0]

    def _begin(self) -> AnyLedger:
        self.events.begin(self.grace)
        self.rows.begin()
        base: dict[str, Any] = {}
        if self.scan:
            for page in self.rows.scan():
                for seen in page:
                    if (version := self._version(seen)) is not None:
                        base[seen.name] = version
        self.events.based(self.grace)
        ledger = self.make(self.book, self.clock())
        ledger.base(base)
        return ledger

    def _read_events(self, ledger: AnyLedger) -> bool:
        ended = False
        began = self.clock()
        for said, ended in self.events.read(_PAGES):
            for each in said:
                if each is None:
                    self.book.unexplained += 1
                else:
                    ledger.event(each.name, each.version, each.deleted, began, early=each.early)
            if ended:
                ledger.read(began)
            began = self.clock()
        return ended

    def _look(self, ledger: AnyLedger, ended: bool) -> None:
        began = self.clock()
        for page in self.rows.changed():
            self._note(ledger, began)
            for seen in page:
                if (version := self._version(seen)) is not None:
                    ledger.row(seen.name, version, began, fresh=seen.fresh)
        if not ended:
            return  # events that are yet to be read may explain what is in doubt
        self._find(ledger, ledger.wanted(began))
        ledger.looked(began)
        self._sweep(ledger, began)

    def _find(self, ledger: AnyLedger, names: Sequence[str]) -> None:
        for begin in range(0, len(names), _CHUNK):
            chunk = names[begin : begin + _CHUNK]
            began = self.clock()
            found = self.rows.find(chunk)
            self._note(ledger, began)
            for name, seen in zip(chunk, found, strict=True):
                version = None if seen is None else self._version(seen)
                if seen is None or version is not None:
                    ledger.row(name, version, began)
                else:
                    ledger.passed(name)

    def _sweep(self, ledger: AnyLedger, now: float) -> None:
        """Look at known rows again, one lap after the other."""
        self._credit = min(
            self._credit + self.sweep * (now - (self._last if self._last is not None else now)), 50_000.0
        )
        self._last = now
        while self.sweep:
            if self._lap is None:
                self._lap, self._lap_began = _chunks(ledger.alive()), now
            names = next(self._lap, None)
            if names is None:
                self._laps.append((self._lap_began, self.clock()))
                self._lap = None
                break
            self._find(ledger, names)
            self._credit -= len(names)
            if self._credit < 0:
                break

    def _note(self, ledger: AnyLedger, now: float) -> None:
        while self.notes:
            name, version = self.notes.popleft()
            ledger.hydrated(name, None if version is None else self.read(version), now)

    def _version(self, seen: Seen) -> Any:
        version = self.read(seen.version)
        if version is None:
            self.book.unversioned += 1
        return version


def _chunks(names: list[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(names), _CHUNK):
        yield names[begin : begin + _CHUNK]
