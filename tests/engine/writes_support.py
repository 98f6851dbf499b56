"""A small comments service over embedded stores, in a right and in many wrong versions, for tests of writes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from attrs import evolve

from shadowmig import Comparison, Migration, SisterStore, Verdict
from shadowmig.engine import Breaker, Threads
from shadowmig.model import Call, Reading, Record, Ref
from shadowmig.sinks import Memory
from shadowmig.stores import MemoryStore, Stream, Table

PATIENT = Breaker(errors=2, overhead=3600)
"""A breaker that never opens."""

QUICK = 0.1
"""Seconds to settle in tests where nothing comes late."""


class Watched(MemoryStore):
    """A store that counts what it is asked, and gives old records for a while if it is told to lag."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.reads: list[int] = []
        self.writes: list[int] = []
        self.before_read: Callable[[], object] = lambda: None
        self._old: dict[Ref, Record] | None = None

    def read(self, refs: Any, *, since: Any = None, timeout: float | None = None) -> Reading:
        self.reads.append(len(refs))
        self.before_read()
        return self._lagging(super().read(refs, since=since, timeout=timeout))

    async def aread(self, refs: Any, *, since: Any = None, timeout: float | None = None) -> Reading:
        self.reads.append(len(refs))
        self.before_read()
        return self._lagging(await super().aread(refs, since=since, timeout=timeout))

    def write(self, records: Any) -> None:
        self.writes.append(len(records))
        super().write(records)

    def lag(self, *refs: Ref) -> None:
        """From now on give these records as they are now, as a replica does that has fallen behind."""
        bare = [evolve(ref, store="", owner=None) for ref in refs]
        self._old = {record.ref: record for record in super().read(bare).records}

    def catch_up(self) -> None:
        """Lag no more."""
        self._old = None

    def _lagging(self, reading: Reading) -> Reading:
        if self._old is None:
            return reading
        records = []
        for record in reading.records:
            old = self._old.get(evolve(record.ref, store="", owner=None))
            records.append(record if old is None else evolve(old, ref=record.ref))
        return evolve(reading, records=tuple(records))


def version_of(value: Any) -> Any:
    """Take the version out of a cached row or an event."""
    return value["version"]


class World:
    """
    A database, a cache and a stream, each with its sister, and the old implementation of a service over them.

    Args:
        versions: Whether rows, cached values and events carry a version.
    """

    def __init__(self, *, versions: bool = True) -> None:
        version: Any = "version" if versions else None
        take = version_of if versions else None
        tables = [Table("comments", key="id", version=version), Table("totals", key="id", version=version)]
        streams = [Stream("ev", id="event_id", version=take)]
        self.versions = versions
        self.db = self.pair("db", tables=tables)
        self.cache = self.pair("cache", version=take)
        self.events = self.pair("events", streams=streams)
        self.stores = (self.db, self.cache, self.events)
        self.ids = itertools.count(1)
        self.control = Service(self)

    @staticmethod
    def pair(name: str, **options: Any) -> SisterStore:
        """Make a sister store of two watched stores."""
        return SisterStore(name=name, production=Watched(**options), sister=Watched(**options))

    def candidate(self, *defects: str, **more: Any) -> Service:
        """Make a new implementation, with defects."""
        return Service(self, *defects, **more)

    def row(self, number: int) -> Ref:
        """Name the row of a comment."""
        return self.db.row("comments", number)

    def key(self, number: int) -> Ref:
        """Name the cached comment."""
        return self.cache.key(f"c:{number}")

    def entry(self, event_id: str, number: int | None = None) -> Ref:
        """Name an event, which stands for the comment if that is told."""
        stands_for = None
        if number is not None:
            stands_for = {ref: lambda event: event["after"] for ref in (self.row(number), self.key(number))}
        return self.events.entry("ev", event_id, stands_for=stands_for)

    def hydrate(self, call: Call) -> list[Ref]:
        """Name what a write to a comment starts from."""
        return [self.row(call["number"]), self.key(call["number"])]

    def touches(self, call: Call) -> list[Ref]:
        """Name what a write to a comment changes."""
        number = call.result["id"] if "number" not in call.parameters.all else call["number"]
        return [self.row(number), self.key(number), self.entry(call.result["event_id"])]

    def standing(self, call: Call) -> list[Ref]:
        """Name the same, with the event standing for the row and the cached comment."""
        number = call.result["id"] if "number" not in call.parameters.all else call["number"]
        return [self.row(number), self.key(number), self.entry(call.result["event_id"], number)]

    def carry(self, call: Call) -> dict[str, Any]:
        """Give what the old implementation made up."""
        return {"event_id": call.result["event_id"]}

    @property
    def options(self) -> dict[str, Any]:
        """Give the usual options of an experiment on one comment."""
        return {
            "key": lambda call: call["number"],
            "hydrate": self.hydrate,
            "carry": self.carry,
            "touches": self.touches,
            "breaker": PATIENT,
            "settle": QUICK,
            "hydrate_timeout": 5,
        }

    def new(self, body: str = "first", *, votes: int = 0) -> int:
        """Put a comment into production, unseen by anybody, and give its number."""
        row: dict[str, Any] = {"body": body, "votes": votes}
        if self.versions:
            row["version"] = 1
        row = self.db.production.client().insert("comments", row)
        self.cache.production.client().set(f"c:{row['id']}", row, ttl=100)
        return int(row["id"])

    def edit(self, number: int, **changes: Any) -> None:
        """Change a comment beside the decorated handlers, as an unsampled writer does."""
        with self.db.production.client().transaction() as transaction:
            row = transaction.get_row("comments", number)
            if self.versions:
                changes["version"] = row["version"] + 1
            row = transaction.update("comments", number, **changes)
        self.cache.production.client().set(f"c:{number}", row, ttl=100)

    def in_production(self, number: int) -> Any:
        """Read a comment of production as it is."""
        return self.db.production.client().get_row("comments", number)

    def in_sister(self, number: int) -> Any:
        """Read a comment of the sister as it is."""
        return self.db.sister.client().get_row("comments", number)


class Service:
    """
    The comments service; the same code for both sides, for each gets its own clients.

    Args:
        world: Where it works.
        defects: What is wrong with it.
        before: Called when a write begins.
        between: Called between what it writes to the database and what it writes to cache and stream.
        after: Called at the end of a write.
    """

    def __init__(
        self,
        world: World,
        *defects: str,
        before: Callable[[], object] = lambda: None,
        between: Callable[[], object] = lambda: None,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        self.world = world
        self.defects = set(defects)
        self.before = before
        self.between = between
        self.after = after

    def _event_id(self, given: str | None) -> str:
        return given or f"e{next(self.world.ids)}"

    def _bumped(self, version: int) -> int:
        if "no bump" in self.defects:
            return version
        if "invents" in self.defects:
            return version + 1000
        return version + (2 if "double bump" in self.defects else 1)

    def _tell(self, number: int, row: Any, event_id: str, version: int | None) -> None:
        cache, events = self.world.cache.client(), self.world.events.client()
        if row is None:
            if "stale cache" not in self.defects:
                cache.delete(f"c:{number}")
        elif "no cache" not in self.defects:
            cache.set(f"c:{number}", row, ttl=50 if "ttl" in self.defects else 100)
        event = {"event_id": event_id, "number": number, "after": row}
        if version is not None:
            event["version"] = version
        if "no event" not in self.defects:
            events.append("ev", event)
        if "event twice" in self.defects:
            events.append("ev", event)
        if "stray event" in self.defects:
            events.append("ev", {**event, "event_id": f"stray-{event_id}"})

    def create(
        self,
        body: str,
        *,
        id: int | None = None,  # noqa: A002 - the column is called so
        event_id: str | None = None,
    ) -> dict[str, Any]:
        """Create a comment."""
        self.before()
        row: dict[str, Any] = {"body": body.upper() if "shouts" in self.defects else body, "votes": 0}
        if self.world.versions:
            row["version"] = 2 if "double bump" in self.defects else 1
        if id is not None:
            row["id"] = id
        with self.world.db.client().transaction() as transaction:
            row = transaction.insert("comments", row)
        self.between()
        event_id = self._event_id(event_id)
        self._tell(row["id"], row, event_id, row.get("version"))
        self.after()
        return {**row, "event_id": event_id}

    def add(self, body: str) -> dict[str, Any]:
        """Create a comment whose ids are made up here."""
        return self.create(body)

    def update(self, number: int, body: str, *, event_id: str | None = None) -> dict[str, Any]:
        """Change the text of a comment."""
        return self._change(number, lambda row: {"body": body.upper() if "shouts" in self.defects else body}, event_id)

    def increment(self, number: int, by: int = 1, *, event_id: str | None = None) -> dict[str, Any]:
        """Add votes to a comment."""
        more = by + 1 if "off by one" in self.defects else by
        return self._change(number, lambda row: {"votes": row["votes"] + more}, event_id)

    def _change(
        self, number: int, change: Callable[[dict[str, Any]], dict[str, Any]], event_id: str | None
    ) -> dict[str, Any]:
        self.before()
        with self.world.db.client().transaction() as transaction:
            row = transaction.get_row("comments", number)
            if row is None:
                raise LookupError(number)
            changes = change(row)
            if self.world.versions:
                changes["version"] = self._bumped(row["version"])
            if "no row" not in self.defects:
                row = transaction.update("comments", number, **changes)
            if "neighbour" in self.defects:
                self._touch_neighbour(transaction, number)
        self.between()
        event_id = self._event_id(event_id)
        self._tell(number, row, event_id, row.get("version"))
        self.after()
        return {**row, "event_id": event_id}

    def _touch_neighbour(self, transaction: Any, number: int) -> None:
        if transaction.get_row("comments", number + 1000) is None:
            transaction.insert("comments", {"id": number + 1000, "body": "stray", "version": 1})

    def delete(self, number: int, *, event_id: str | None = None) -> dict[str, Any]:
        """Remove a comment."""
        self.before()
        with self.world.db.client().transaction() as transaction:
            row = transaction.get_row("comments", number)
            if row is None:
                raise LookupError(number)
            if "keeps row" not in self.defects:
                transaction.remove("comments", number)
        self.between()
        event_id = self._event_id(event_id)
        self._tell(number, None, event_id, row["version"] + 1 if self.world.versions else None)
        self.after()
        return {"gone": number, "event_id": event_id}


@contextmanager
def migration(**options: Any) -> Iterator[Migration]:
    """Give a migration that is closed afterwards."""
    made = Migration("m", **{"sinks": [Memory()], "budget": 1.0, "publish_every": 0.05, **options})
    try:
        yield made
    finally:
        made.close(20)


MODES = ("inline", "threads")


class Bench:
    """
    A migration whose calls are judged one by one.

    Args:
        made: The migration.
        mode: Whether calls are judged before they return, or in threads.
        seen: What was judged.
    """

    def __init__(self, made: Migration, mode: str, seen: list[Comparison]) -> None:
        self.made = made
        self.mode = mode
        self.seen = seen

    def judge(self, call: Callable[..., Any], *args: Any, **more: Any) -> Comparison:
        """Make one call, and give the comparison; what handlers here may raise is for the comparison to tell."""
        before = len(self.seen)
        with suppress(LookupError, ValueError, PermissionError):
            if self.mode == "inline":
                with self.made.inline():
                    call(*args, **more)
            else:
                call(*args, **more)
        assert self.made.flush(20)
        assert len(self.seen) == before + 1, self.made.stats()
        return self.seen[-1]


@contextmanager
def bench(mode: str = "inline", **options: Any) -> Iterator[Bench]:
    """Give a bench that is closed afterwards."""
    seen: list[Comparison] = []
    with migration(on_comparison=seen.append, **options) as made:
        yield Bench(made, mode, seen)


def once(world: World, operation: str, candidate: Any, *args: Any, mode: str = "inline", **options: Any) -> Comparison:
    """Have one call of an operation of the comments service judged."""
    with bench(mode) as made:
        control = getattr(world.control, operation)
        handler = made.made.write(control, candidate=candidate, name=operation, **{**world.options, **options})
        return made.judge(handler, *args)


def counted(made: Migration, name: str | None = None) -> dict[str, int]:
    """Give the verdicts that occurred, by their names, with the reasons of those that have one."""
    experiments = made.stats().experiments
    summary = experiments[name] if name else next(iter(experiments.values()))
    found = {verdict.value: count for verdict, count in summary.verdicts.items() if count}
    return found | dict(summary.reasons)


def errors(made: Migration, name: str | None = None) -> dict[str, int]:
    """Give the internal failures of the experiment."""
    experiments = made.stats().experiments
    return dict((experiments[name] if name else next(iter(experiments.values()))).errors)


def places(comparison: Comparison) -> set[tuple[str, str, str]]:
    """Give where a comparison found differences: store, path, kind."""
    return {(one.ref.store if one.ref else "", one.path, one.kind) for one in comparison.differences}


def workers(count: int = 4, **options: Any) -> Threads:
    """Make a runner that waits for nobody for long."""
    return Threads(workers=count, max_wait=60, **options)


class Gate:
    """Lets writers pass one after the other, as the test says."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self, *_: object) -> None:
        """Stand at the gate until it is opened."""
        self._reached.set()
        assert self._opened.wait(30), "nobody opened the gate"

    def wait(self) -> None:
        """Wait until somebody stands there."""
        assert self._reached.wait(30), "nobody came to the gate"

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._opened.set()


MATCH, MISMATCH, RACED = Verdict.MATCH, Verdict.MISMATCH, Verdict.RACED
BROKEN, SKIPPED, IGNORED = Verdict.BROKEN, Verdict.SKIPPED, Verdict.IGNORED
