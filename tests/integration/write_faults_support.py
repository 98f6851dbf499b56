"""The comments service over three real stores and their sisters, its users, and what comes of their writes."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis as redis_driver
from psycopg import sql
from pymemcache.client.base import PooledClient
from pymemcache.client.retrying import RetryingClient
from pymemcache.exceptions import MemcacheUnexpectedCloseError
from write_faults_servers import FAR, run, until
from write_faults_service import Comments, Site

from shadowmig import Comparison, Migration, SisterStore, Verdict
from shadowmig.engine import Breaker, Threads
from shadowmig.model import MISSING, Call, Ref
from shadowmig.sinks import Memory
from shadowmig.stores import MemcachedStore, PostgresStore, RedisStore, Stream, Table
from shadowmig.wire.codecs import Json

PATIENT = Breaker(errors=2, overhead=3600)
"""A breaker that never opens."""
SOON = 5.0
"""Seconds that no call of a caller takes, however busy the machine is, unless something of ours holds it up."""
STORES = ("db", "cache", "events")


class World:
    """
    The service with its stores, and its migration.

    Args:
        site: Where the stores are.
        options: Of the experiments, besides the usual ones.
    """

    def __init__(self, site: Site, options: Mapping[str, Any]) -> None:
        self.site = site
        self._numbers = itertools.count(1)
        self._bodies = itertools.count(1)
        self._closing = ExitStack()
        self._tables = [Table(site.names.table, key="id", version="version")]
        self._own = PostgresStore(site.production["db"], tables=self._tables)
        self._closing.callback(self._own.close)
        ours, theirs = self._clients(site.production, 5.0), self._clients(site.sister, 1.0)
        self.clients, self.sister_clients = ours, theirs
        self.db, self.cache, self.events = (
            SisterStore(
                name=store,
                production=self._store(store, site.verifier[store], site.patience, client=production),
                sister=self._store(store, site.sister[store], site.timeout, client=sister),
            )
            for store, production, sister in (
                ("db", self._own.client(), None),
                ("cache", ours["cache"], theirs["cache" if site.careful else "careless"]),
                ("events", ours["events"], theirs["events"]),
            )
        )
        for pair in (self.db, self.cache, self.events):
            self._closing.callback(pair.close)
        self.old, self.new = Comments(self), Comments(self)
        self.seen: list[Comparison] = []
        self._told: Counter[str] = Counter()
        self.migration = Migration(
            "comments",
            sinks=[Memory()],
            budget=1.0,
            publish_every=0.05,
            runner=Threads(workers=4, queue=50, max_wait=3),
            on_comparison=self.seen.append,
        )
        self._closing.callback(self.migration.close, 20)
        # A candidate that was given up still holds connections.
        self._closing.callback(until, lambda: not self.migration.stats().stuck)
        self.options = {
            "carry": self._carry,
            "touches": self._touches,
            "breaker": PATIENT,
            "settle": 0.3,
            "deadline": 3,
            "hydrate_timeout": 5,
        } | dict(options)
        self._hasty = min(site.timeout, site.patience, self.options["hydrate_timeout"]) < 1.0
        key = self._key_of_new
        self.create = self.migration.write(
            self.old.create, candidate=self.new.create, name="create", key=key, **self.options
        )
        self.edit = self.migration.write(
            self.old.edit,
            candidate=self.new.edit,
            name="edit",
            key=lambda call: call["number"],
            hydrate=self.hydrate,
            **self.options,
        )

    def _store(self, store: str, place: str, timeout: float, *, client: Any) -> Any:
        if store == "db":
            return PostgresStore(place, tables=self._tables, client=client, timeout=timeout)
        if store == "cache":
            version = lambda value: value["version"]  # noqa: E731 - it is shorter so
            return MemcachedStore(place, codec=Json(), version=version, client=client, timeout=timeout)
        stream = Stream(
            self.site.names.stream,
            id="event_id",
            payload="body",
            codec=Json(),
            version=lambda event: event["version"],
        )
        return RedisStore(place, streams=[stream], client=client, timeout=timeout)

    def _clients(self, places: Mapping[str, str], timeout: float) -> dict[str, Any]:
        """Make what the service itself works with."""
        cache = PooledClient(places["cache"], connect_timeout=timeout, timeout=timeout)
        lost = [MemcacheUnexpectedCloseError, ConnectionError]
        careful = RetryingClient(cache, attempts=9, retry_for=lost)  # as redis-py does by itself
        events = redis_driver.Redis.from_url(places["events"], socket_timeout=timeout, socket_connect_timeout=timeout)
        self._closing.callback(cache.close)
        self._closing.callback(events.close)
        return {"cache": careful, "events": events, "careless": cache}

    def close(self) -> None:
        """Close the migration and all connections."""
        self._closing.close()

    # What the experiments are told

    def new_number(self) -> int:
        """Give the number of the next comment."""
        return next(self._numbers)

    def key_name(self, number: Any) -> str | bytes:
        """Name the key of a cached comment."""
        prefix = self.site.names.prefix
        if isinstance(prefix, bytes):
            return self.site.prefix.encode() + prefix + str(number).encode()
        return f"{self.site.prefix}{prefix}{number}"

    def _key_of_new(self, call: Call) -> Any:
        return None if call.result is MISSING else call.result["id"]

    def _carry(self, call: Call) -> dict[str, Any]:
        carried = {"event_id": call.result["event_id"]}
        return carried if call.experiment == "edit" else {**carried, "number": call.result["id"]}

    def _comment_refs(self, number: Any) -> list[Ref]:
        return [self.db.row(self.site.names.table, number), self.cache.key(self.key_name(number))]

    def hydrate(self, call: Call) -> list[Ref]:
        """Name what an edit starts from."""
        return self._comment_refs(call["number"])

    def _touches(self, call: Call) -> list[Ref]:
        records = self._comment_refs(call.result["id"])
        told = {record: lambda event: event["after"] for record in records}
        return [*records, self.events.entry(self.site.names.stream, call.result["event_id"], stands_for=told)]

    # What users do

    def comment(self, number: Any = None) -> Any:
        """Put a comment into production, unseen by anybody, and give its number."""
        number = self.new_number() if number is None else number
        text = sql.SQL("INSERT INTO {} VALUES ({}, 'first', 1)")
        run(self.site.production["db"], text.format(self.site.names.name, sql.Literal(number)))
        return number

    def write(self, number: Any, body: str = "") -> None:
        """Edit a comment as a user does, who gets what production gives, and soon."""
        body = body or f"text {next(self._bodies)}"
        version = self.version(number)
        begun = time.monotonic()
        answer = self.edit(number, body)
        assert time.monotonic() - begun < SOON
        assert answer.pop("event_id").startswith(self.site.names.event)
        assert answer == {"id": number, "body": body, "version": version + 1}

    def refused(self) -> None:
        """Edit a comment that there is not, as a user does, who gets production's error, and soon."""
        begun = time.monotonic()
        with pytest.raises(KeyError, match=r"^-1$"):
            self.edit(-1, "nothing")
        assert time.monotonic() - begun < SOON

    def version(self, number: Any) -> int:
        """Read a comment's version in production."""
        text = sql.SQL("SELECT version FROM {} WHERE id = {}").format(self.site.names.name, sql.Literal(number))
        with self._own.client().connection() as connection:
            ((version,),) = connection.execute(text).fetchall()
        return int(version)

    @contextmanager
    def storm(self, writers: int = 3) -> Iterator[Callable[[int], None]]:
        """
        Have users write meanwhile, each a comment of its own.

        Returns:
            A function that waits until so many more writes were served.
        """
        stop, lock = threading.Event(), threading.Lock()
        served, failures = [0], []

        def work(number: int) -> None:
            try:
                while not stop.wait(0.01):
                    body = f"text {next(self._bodies)}"
                    begun = time.monotonic()
                    assert self.edit(number, body)["body"] == body
                    assert time.monotonic() - begun < SOON
                    with lock:
                        served[0] += 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(self.comment(),)) for _ in range(writers)]
        for thread in threads:
            thread.start()

        def more(writes: int) -> None:
            wanted = served[0] + writes
            until(lambda: served[0] >= wanted or failures)

        try:
            yield more
        finally:
            stop.set()
            for thread in threads:
                thread.join(FAR)
        assert failures == []

    # What came of it

    def verdicts(self) -> dict[str, int]:
        """Have all judged, and give the verdicts since the last time, with the reasons of those that have one."""
        assert self.migration.flush(FAR)
        return self._verdicts()

    def _verdicts(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for summary in self.migration.stats().experiments.values():
            counts.update({verdict.value: count for verdict, count in summary.verdicts.items() if count})
            counts.update(summary.reasons)
        found, self._told = counts - self._told, counts
        return dict(found)

    def harmless_until(self, verdict: str) -> bool:
        """Wait for a verdict while others write; whether no false alarm came before it."""
        found: dict[str, int] = self._verdicts()
        until(lambda: found.update(self._verdicts()) or verdict in found or "mismatch" in found)
        return "mismatch" not in found

    def matches(self, number: Any, writes: int = 2) -> None:
        """Check that writes match."""
        for _ in range(writes):
            self._judged(number, {"match": 1})

    def _judged(self, number: Any, expected: dict[str, int]) -> None:
        """Check what a write is found to be; if the time for stores is short here, it may need another try."""
        end = time.monotonic() + FAR
        while True:
            self.write(number)
            found = self.verdicts()
            if found == expected:
                return
            again = self._hasty and harmless(found) and "match" not in found
            assert again, (found, self.last())
            assert time.monotonic() < end, found

    def recovers(self, number: Any, store: str) -> None:
        """Check that verification resumes by itself, without a false alarm, and finds what is wrong then."""
        end = time.monotonic() + FAR
        while True:
            self.write(number)
            found = self.verdicts()
            if found == {"match": 1}:
                break
            assert harmless(found), self.last()
            assert time.monotonic() < end, f"it never resumed: {found}"
            time.sleep(0.02)
        self.matches(number)
        self.finds(number, store)
        self.matches(number, 1)

    def finds(self, number: Any, store: str) -> None:
        """Check that a defect in one store is found there, and nowhere else."""
        self.new.defect = store
        self._judged(number, {"mismatch": 1})
        self.new.defect = ""
        expected = {"db": ("$.body", "changed"), "cache": ("$.body", "changed"), "events": ("$.more", "unexpected")}
        assert self.differences() == {(store, *expected[store])}

    def differences(self) -> set[tuple[str, str, str]]:
        """Give where the last comparison found differences: store, path, kind."""
        return {(one.ref.store if one.ref else "", one.path, one.kind) for one in self.seen[-1].differences}

    def last(self) -> Any:
        """Give what is worth knowing of the last mismatch, or else the last comparison, for messages."""
        errors = {name: dict(one.errors) for name, one in self.migration.stats().experiments.items() if one.errors}
        shown = [one for one in self.seen if one.verdict is Verdict.MISMATCH] or self.seen
        return [(one.verdict, one.reason, one.differences) for one in shown[-1:]], errors


def harmless(found: Mapping[str, int]) -> bool:
    """Whether there is no mismatch among verdicts, and each that is no match is counted by its reason."""
    verdicts = {name: count for name, count in found.items() if ":" not in name and name != "match"}
    reasons: Counter[str] = Counter()
    for name, count in found.items():
        if ":" in name:
            reasons[name.partition(":")[0]] += count
    return set(verdicts) <= {"broken", "skipped", "raced"} and dict(reasons) == verdicts
