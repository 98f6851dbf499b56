"""
What comparing a write costs: on the caller's path, in CPU, and in throughput, on real servers.

The floor of the caller's path is the same write without us, plus one plain read of the row and of the key by the
drivers themselves. The floor of the throughput is a service that runs both writes, one after the other, and compares
nothing.
"""

from __future__ import annotations

import itertools
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from _table import report
from bench_call import Keeps
from psycopg.rows import dict_row
from pymemcache import Client

from shadowmig import Migration, SisterStore
from shadowmig.engine.breaker import Breaker
from shadowmig.engine.threads import Threads
from shadowmig.side import MIRRORED
from shadowmig.stores import MemcachedStore, PostgresStore, RedisStore, Stream, Table
from shadowmig.testing.servers import Memcached, Postgres, Redis
from shadowmig.wire.codecs import Json

TABLES = [Table("comments", key="id", version="version")]
STREAMS = [Stream("changes", id="event_id", payload="body", codec=Json(), version=lambda event: event["version"])]
BODY = "It is a truth universally acknowledged. " * 20
RECORDS = 200
WRITERS = 4
SECONDS = 4.0
ROUNDS = 5
STEADY = 200
"""Writes a second, where the machine is not at its end."""


class Service:
    """Three stores with their sisters, and one write to all three."""

    def __init__(self, postgres: str, memcached: tuple[str, str], redis: str) -> None:
        urls = [urlsplit(postgres)._replace(path=f"/{name}").geturl() for name in ("production", "sister")]
        self.db = SisterStore(
            name="db",
            production=PostgresStore(urls[0], tables=TABLES, connections=8),
            sister=PostgresStore(urls[1], tables=TABLES, connections=8),
        )
        caches = [MemcachedStore(url, codec=Json(), version=lambda value: value["version"]) for url in memcached]
        self.cache = SisterStore(name="cache", production=caches[0], sister=caches[1])
        streams = [RedisStore(redis.replace("/0", f"/{number}"), streams=STREAMS) for number in (0, 1)]
        self.events = SisterStore(name="events", production=streams[0], sister=streams[1])
        self.urls = urls
        self._ids = itertools.count(1)

    def update(self, comment_id: int, body: str, *, event_id: str = "") -> dict[str, Any]:
        """Write a row, a key and an event."""
        comment = self.update_two(comment_id, body)
        event_id = event_id or f"e{next(self._ids)}"
        told = json.dumps({"version": comment["version"], "after": comment})
        self.events.client().xadd("changes", {"event_id": event_id, "body": told})
        return {**comment, "event_id": event_id}

    def update_two(self, comment_id: int, body: str) -> dict[str, Any]:
        """Write a row and a key, the key while the row is locked."""
        with self.db.client().connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            comment: dict[str, Any] = cursor.execute(
                "UPDATE comments SET body = %s, version = version + 1 WHERE id = %s RETURNING *", (body, comment_id)
            ).fetchone()
            self.cache.client().set(f"c:{comment_id}", json.dumps(comment).encode(), expire=3600)
        return comment

    def both(self, comment_id: int, body: str) -> None:
        """Write production and the sister, and compare nothing."""
        self.update(comment_id, body)
        token = MIRRORED.set(True)
        try:
            self.update(comment_id, body)
        finally:
            MIRRORED.reset(token)

    def hydrate(self, call: Any) -> list[Any]:
        """Name the row and the key."""
        return [self.db.row("comments", call["comment_id"]), self.cache.key(f"c:{call['comment_id']}")]

    def touched(self, call: Any) -> list[Any]:
        """Name the row, the key and the event."""
        row, key = self.hydrate(call)
        told = {row: _after, key: _after}
        return [row, key, self.events.entry("changes", call.result["event_id"], stands_for=told)]

    def close(self) -> None:
        """Close all connections."""
        for store in (self.db, self.cache, self.events):
            store.close()


def _after(event: dict[str, Any]) -> Any:
    return event["after"]


@contextmanager
def service() -> Iterator[Service]:
    """Run the servers with a table of comments, the same in both databases."""
    with Postgres() as postgres, Memcached() as one, Memcached() as other, Redis() as redis:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            for name in ("production", "sister"):
                connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]  # one of two names above
        made = Service(postgres.url, (one.url, other.url), redis.url)
        for url in made.urls:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE comments (id int PRIMARY KEY, body text, version int)")
                connection.execute("INSERT INTO comments SELECT n, '', 1 FROM generate_series(1, %s) n", (RECORDS,))
        try:
            yield made
        finally:
            made.close()


def medians(forms: dict[str, Callable[[], object]], calls: int) -> dict[str, float]:
    """Time functions in turns; the median of each, in microseconds."""
    took: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(calls):
        for name, form in forms.items():
            started = time.perf_counter_ns()
            form()
            took[name].append((time.perf_counter_ns() - started) / 1000)
    return {name: statistics.median(times[calls // 10 :]) for name, times in took.items()}


def callers_path(made: Service) -> float:
    """Measure the caller's own cost of a sampled write with hydrate and carry, beyond its floor, in microseconds."""
    migration = Migration("bench", sinks=[], runner=Keeps())  # type: ignore[arg-type]  # it never gives jobs back
    sampled: Any = migration.write(
        made.update_two,
        candidate=made.update_two,
        name="update",
        key=lambda call: call["comment_id"],
        hydrate=made.hydrate,
        carry=lambda call: {},
        touches=made.hydrate,
    )
    with psycopg.connect(made.urls[0], autocommit=True) as connection:
        host, port = made.cache.production.client().server  # type: ignore[attr-defined]  # the client is a pool of pymemcache
        cache = Client((host, port))
        figures = medians(
            {
                "served": lambda: made.update_two(7, BODY),
                "row": lambda: connection.execute("SELECT * FROM comments WHERE id = %s", (7,)).fetchone(),
                "key": lambda: cache.gets("c:7"),
                "sampled": lambda: sampled(7, BODY),
            },
            3000,
        )
        cache.close()
    migration.close()
    print({name: round(figure, 1) for name, figure in figures.items()})
    return figures["sampled"] - figures["served"] - figures["row"] - figures["key"]


def writes_per_second(write: Callable[[int, str], object], done: Callable[[], object]) -> tuple[float, float]:
    """Let some threads write for a while; writes a second until all is done, and CPU seconds a write."""
    end = time.monotonic() + SECONDS
    counts = [0] * WRITERS

    def work(writer: int) -> None:
        turn = itertools.count()
        while time.monotonic() < end:
            write(1 + (next(turn) * WRITERS + writer) % RECORDS, BODY)
            counts[writer] += 1

    started, spent = time.monotonic(), time.process_time()
    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done()
    return sum(counts) / (time.monotonic() - started), (time.process_time() - spent) / sum(counts)


def at_a_steady_rate(write: Callable[[int, str], object], done: Callable[[], object]) -> float:
    """Let some threads write so many times a second; CPU milliseconds a write."""
    end = time.monotonic() + SECONDS

    def work(writer: int) -> None:
        turn, due = itertools.count(), time.monotonic()
        while due < end:
            write(1 + (next(turn) * WRITERS + writer) % RECORDS, BODY)
            due += WRITERS / STEADY
            time.sleep(max(0.0, due - time.monotonic()))

    spent = time.process_time()
    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done()
    return (time.process_time() - spent) * 1000 / (SECONDS * STEADY)


def throughput(made: Service) -> tuple[float, float, float]:
    """Measure our own CPU milliseconds a write, at a steady rate and at full load, and the floor's share of time."""
    runner = Threads(workers=2, queue=20_000)
    migration = Migration("bench", sinks=[], budget=1.0, runner=runner)
    compared: Any = migration.write(
        made.update,
        candidate=made.update,
        name="update",
        key=lambda call: call["comment_id"],
        hydrate=made.hydrate,
        hydrate_timeout=5.0,
        carry=lambda call: {"event_id": call.result["event_id"]},
        touches=made.touched,
        breaker=Breaker(errors=2, overhead=60.0),
    )

    def paced(comment_id: int, body: str) -> None:
        while runner.pending() > 200:
            time.sleep(0.005)
        compared(comment_id, body)

    made.db.prove(), made.cache.prove(), made.events.prove()
    steady = []
    for number in range(ROUNDS):
        plain = at_a_steady_rate(made.both, lambda: None)
        ours = at_a_steady_rate(compared, lambda: migration.flush(60))
        print(f"  {STEADY} writes/s: CPU {plain:.2f}, {ours:.2f} ms a write")
        if number:
            steady.append(ours - plain)
    ratios, cpu = [], []
    for number in range(ROUNDS):
        floor, plain = writes_per_second(made.both, lambda: None)
        ours, spent = writes_per_second(paced, lambda: migration.flush(60))
        print(f"  {floor:.0f} writes/s both, {ours:.0f} compared; CPU {plain * 1e3:.2f}, {spent * 1e3:.2f} ms a write")
        if number:
            ratios.append(ours / floor)
            cpu.append((spent - plain) * 1000)
    summary = migration.stats().experiments["update"]
    print("  ", {verdict.value: count for verdict, count in summary.verdicts.items() if count}, dict(summary.reasons))
    migration.close()
    return statistics.median(steady), statistics.median(cpu), 1 / statistics.median(ratios)


def main() -> None:
    """Run all and print the table."""
    with service() as made:
        beyond = callers_path(made)
        steady, cpu, longer = throughput(made)
    report(
        "5-write",
        [
            ("sampled write, row and key hydrated: beyond write and reads", beyond, 50, "us"),
            (f"own CPU of a compared write, three stores, {STEADY} a second", steady, 1.0, "ms"),
            ("the same, as many as there can be", cpu, 1.0, "ms"),
            ("time for a compared write, as many as there can be", longer, 1 / 0.7, "x both writes, not compared"),
        ],
    )


if __name__ == "__main__":
    main()
