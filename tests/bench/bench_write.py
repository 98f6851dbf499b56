"""
What comparing a write costs: on the caller's path, in CPU, and in throughput, on real servers.

The floor of the caller's path is the same write without us, plus one plain read of the row and of the key by the
drivers themselves. The floor of the throughput is a service that runs both writes, one after the other, and compares
nothing. What lies between is shown by `Reads`: the reads that comparing needs, made by plain drivers and thrown away.
"""

from __future__ import annotations

import gc
import itertools
import json
import queue
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis
from _table import report
from bench_call import Keeps
from psycopg.rows import dict_row
from pymemcache import Client

from shadowmig import Migration, SisterStore
from shadowmig.engine.breaker import Breaker
from shadowmig.engine.threads import GATHERING, MOST_TOGETHER, Threads
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

    def __init__(self, postgres: str, memcached: tuple[str, str], stream: str) -> None:
        urls = [urlsplit(postgres)._replace(path=f"/{name}").geturl() for name in ("production", "sister")]
        self.db = SisterStore(
            name="db",
            production=PostgresStore(urls[0], tables=TABLES, connections=8),
            sister=PostgresStore(urls[1], tables=TABLES, connections=8),
        )
        caches = [MemcachedStore(url, codec=Json(), version=lambda value: value["version"]) for url in memcached]
        self.cache = SisterStore(name="cache", production=caches[0], sister=caches[1])
        self.stream_urls = [stream.replace("/0", f"/{number}") for number in (0, 1)]
        streams = [RedisStore(url, streams=STREAMS) for url in self.stream_urls]
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


class Reads:
    """
    A service that runs both writes and makes the reads that comparing needs, by plain drivers, and compares nothing.

    The row and the key before the served write; then in a thread, for as many writes at a time as come in 50 ms:
    production, the sister, the other writes, and the sister again.
    """

    def __init__(self, made: Service) -> None:
        self.made = made
        self._local = threading.local()
        self._opened: list[Any] = []
        self._written: queue.Queue[int | None] = queue.Queue()
        latest = {sister: self._plain(sister=sister)[2].xrevrange("changes", count=1) for sister in (False, True)}
        self._last = {sister: found[0][0].decode() for sister, found in latest.items()}
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def write(self, comment_id: int, body: str) -> None:
        """Read the row and the key, and write production."""
        connection, cache, _ = self._plain(sister=False)
        connection.execute("SELECT * FROM comments WHERE id = %s", (comment_id,)).fetchone()
        cache.gets(f"c:{comment_id}")
        self.made.update(comment_id, body)
        self._written.put(comment_id)

    def waiting(self) -> int:
        """Tell how many writes are not read yet."""
        return self._written.unfinished_tasks

    def wait(self) -> None:
        """Wait until all is read."""
        self._written.join()

    def close(self) -> None:
        """End the thread, and close the connections of all threads."""
        self._written.put(None)
        self._thread.join()
        for one in self._opened:
            one.close()

    def _work(self) -> None:
        while True:
            ids = [self._written.get()]
            end = time.monotonic() + GATHERING
            while len(ids) < MOST_TOGETHER and ids[-1] is not None:
                try:
                    ids.append(self._written.get(timeout=max(0.0, end - time.monotonic())))
                except queue.Empty:
                    break
            group = [one for one in ids if one is not None]
            self._read(group, sister=False)
            self._read(group, sister=True)
            token = MIRRORED.set(True)
            for comment_id in group:
                self.made.update(comment_id, BODY)
            MIRRORED.reset(token)
            self._read(group, sister=True)
            for _ in ids:
                self._written.task_done()
            if ids[-1] is None:
                return

    def _read(self, ids: list[int], *, sister: bool) -> None:
        connection, cache, events = self._plain(sister=sister)
        for row in connection.execute("SELECT * FROM comments WHERE id = ANY(%s)", (ids,)).fetchall():
            assert row[2]
        for value, _ in cache.gets_many([f"c:{comment_id}" for comment_id in ids]).values():
            json.loads(value)
        for number, fields in events.xrange("changes", f"({self._last[sister]}"):
            self._last[sister] = number.decode()
            json.loads(fields[b"body"])

    def _plain(self, *, sister: bool) -> Any:
        """Give this thread's own clients of one side."""
        side = "sister" if sister else "production"
        found = getattr(self._local, side, None)
        if found is None:
            host, port = getattr(self.made.cache, side).client().server
            connection = psycopg.connect(self.made.urls[sister], autocommit=True)
            found = connection, Client((host, port)), redis.Redis.from_url(self.made.stream_urls[sister])
            self._opened += found
            setattr(self._local, side, found)
        return found


class Judges(Keeps):
    """A runner that takes every job, keeps the latest, and lets go of their records as if they had been judged."""

    def submit(self, job: Any) -> bool:
        job.experiment.ended(job)
        return super().submit(job)


@contextmanager
def service() -> Iterator[Service]:
    """Run the servers with a table of comments, the same in both databases."""
    with Postgres() as postgres, Memcached() as one, Memcached() as other, Redis() as streams:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            for name in ("production", "sister"):
                connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]  # one of two names above
        made = Service(postgres.url, (one.url, other.url), streams.url)
        for url in made.urls:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE comments (id int PRIMARY KEY, body text, version int)")
                connection.execute("INSERT INTO comments SELECT n, '', 1 FROM generate_series(1, %s) n", (RECORDS,))
        try:
            yield made
        finally:
            made.close()


def medians(
    forms: dict[str, Callable[[], object]], calls: int, between: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """
    Time functions in turns; the median of each, in microseconds.

    Garbage is collected every hundred turns and not meanwhile; ``between`` is called then too.
    """
    took: dict[str, list[float]] = {name: [] for name in forms}
    gc.disable()
    for turn in range(calls):
        if turn % 100 == 0:
            between()
            gc.collect()
        for name, form in forms.items():
            started = time.perf_counter_ns()
            form()
            took[name].append((time.perf_counter_ns() - started) / 1000)
    gc.enable()
    return {name: statistics.median(times[calls // 10 :]) for name, times in took.items()}


def callers_path(made: Service, runner: Keeps) -> float:
    """Measure the caller's own cost of a sampled write with hydrate and carry, beyond its floor, in microseconds."""
    migration = Migration("bench", sinks=[], runner=runner)  # type: ignore[arg-type]  # it never gives jobs back
    sampled: Any = migration.write(
        made.update_two,
        candidate=made.update_two,
        name="update",
        key=lambda call: call["comment_id"],
        hydrate=made.hydrate,
        carry=lambda call: {},
        touches=made.hydrate,
        hydrate_timeout=5.0,  # what is let go on a busy machine would be measured as fast
        breaker=Breaker(errors=2, overhead=60.0),
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
            between=runner.jobs.clear,
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


def rates(made: Service, migration: Migration, compared: Any, runner: Threads, reads: Reads) -> dict[str, float]:
    """Measure once: CPU milliseconds a write beyond both writes, and how much longer one takes when all are busy."""

    def paced(comment_id: int, body: str) -> None:
        while runner.pending() > 200:
            time.sleep(0.005)
        compared(comment_id, body)

    def paced_reads(comment_id: int, body: str) -> None:
        while reads.waiting() > 200:
            time.sleep(0.005)
        reads.write(comment_id, body)

    def flush() -> None:
        migration.flush(60)

    plain = at_a_steady_rate(made.both, lambda: None)
    read = at_a_steady_rate(reads.write, reads.wait)
    ours = at_a_steady_rate(compared, flush)
    print(f"  {STEADY} writes/s: CPU {plain:.2f}, with reads {read:.2f}, compared {ours:.2f} ms a write")
    floor, plain_cpu = writes_per_second(made.both, lambda: None)
    reading, read_cpu = writes_per_second(paced_reads, reads.wait)
    comparing, our_cpu = writes_per_second(paced, flush)
    print(f"  {floor:.0f} writes/s both, {reading:.0f} with reads, {comparing:.0f} compared")
    print(f"  CPU {plain_cpu * 1e3:.2f}, with reads {read_cpu * 1e3:.2f}, compared {our_cpu * 1e3:.2f} ms a write")
    return {
        "steady": ours - plain,
        "steady reads": read - plain,
        "busy": (our_cpu - plain_cpu) * 1000,
        "busy reads": (read_cpu - plain_cpu) * 1000,
        "longer": floor / comparing,
        "longer reads": floor / reading,
    }


def throughput(made: Service) -> list[tuple[str, float, float, str]]:
    """Measure several times what `rates` tells; rows of a table, each with that of its reads alone."""
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
    made.db.prove(), made.cache.prove(), made.events.prove()
    made.both(1, BODY)
    reads = Reads(made)
    rounds = [rates(made, migration, compared, runner, reads) for _ in range(ROUNDS)][1:]
    reads.close()
    summary = migration.stats().experiments["update"]
    print("  ", {verdict.value: count for verdict, count in summary.verdicts.items() if count}, dict(summary.reasons))
    migration.close()
    median = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    rows = [
        ("steady", f"own CPU of a compared write, three stores, {STEADY} a second", 1.0, "ms"),
        ("busy", "own CPU of a compared write, as many as there can be", 1.0, "ms"),
        ("longer", "time for a compared write, as many as there can be", 1 / 0.7, "x both writes, not compared"),
    ]
    alone = "the same for its reads alone, by plain drivers"
    return [
        (told, median[key], bound, unit)
        for name, what, bound, unit in rows
        for key, told in ((name, what), (f"{name} reads", alone))
    ]


def main() -> None:
    """Run all and print the table."""
    with service() as made:
        beyond, hot = callers_path(made, Judges()), callers_path(made, Keeps())
        rows = throughput(made)
    callers = [
        ("sampled write, row and key hydrated: beyond write and reads", beyond, 50, "us"),
        ("the same, while an earlier write to them is not judged yet", hot, 50, "us"),
    ]
    report("5-write", [*callers, *rows])


if __name__ == "__main__":
    main()
