"""What matching events costs: on decoded pairs, and over two real Redis streams against a bare loop of ``XREAD``."""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import Any

import redis
from _table import report

from shadowmig import structural
from shadowmig.stores import Stream
from shadowmig.testing.servers import Redis
from shadowmig.wire.codecs import Json
from shadowmig.wire.events import EventStream, EventTuning, RedisEvents
from shadowmig.wire.events._judge import Judge
from shadowmig.wire.events._matched import Plan
from shadowmig.wire.events.event import Event, Reader
from shadowmig.wire.events.matching import Matcher

ROUNDS = 5
PAIRS = 100_000
SPEED = 60_000
"""Pairs a second that the core must reach."""


def body(number: int) -> dict[str, Any]:
    """Make an event about a comment."""
    return {
        "event_id": f"e{number:08}",
        "comment_id": number % 1000,
        "version": number // 1000,
        "type": "comment.updated",
        "body": "What a fine day to migrate something, is it not?",
        "emitted_at": "2024-05-01T10:00:00Z",
    }


def decoded(pairs: int) -> list[Event]:
    """Make events whose values are decoded already, each with an object of its own."""
    reader = Reader(lambda event: event.value)
    events = []
    for number in range(pairs):
        value = body(number)
        event = reader.event((number, 0), number / 1000, value["event_id"], None)
        event.value = value
        events.append(event)
    return events


def core() -> float:
    """Match and compare decoded pairs; the best round's microseconds of CPU time for a pair."""
    best = float("inf")
    for _ in range(ROUNDS):
        matcher = Matcher(Plan(Judge(structural(ignore=["$.emitted_at"]))))
        ours, theirs = decoded(PAIRS), decoded(PAIRS)
        gc.collect()
        begun = time.process_time()
        for start in range(0, PAIRS, 1000):
            for events, take in ((ours, matcher.take_production), (theirs, matcher.take_sister)):
                page = events[start : start + 1000]
                take([event.id for event in page], page)
        spent = time.process_time() - begun
        assert matcher.out.counts["match"] == PAIRS
        best = min(best, spent / PAIRS * 1e6)
    return best


def fill(urls: tuple[str, str], *, alike: bool) -> None:
    """Write the events to both streams in turns; if not alike, in two ways to write JSON, and in another order."""
    clients = [redis.Redis.from_url(url) for url in urls]
    for start in range(0, PAIRS, 500):
        for client in clients:
            other = client is clients[1] and not alike
            # As writers do who are at it at the same time: what is about one entity stays in its order.
            numbers = [start + number ^ (3 if other else 0) for number in range(500)]
            with client.pipeline(transaction=False) as pipe:
                for number in numbers:
                    value = body(number)
                    data = json.dumps(value, separators=(", ", ": ") if other else (",", ":"))
                    pipe.xadd("comment_events", {"event_id": value["event_id"], "body": data})
                pipe.execute()
    for client in clients:
        client.close()


def bare(urls: tuple[str, str]) -> float:
    """Read both streams to their end by ``XREAD``; seconds."""
    clients = [redis.Redis.from_url(url) for url in urls]
    begun = time.perf_counter()
    entries, positions = 0, ["0-0", "0-0"]
    left = [0, 1]
    while left:
        for index in list(left):
            found = clients[index].xread({"comment_events": positions[index]}, count=1000)
            if not found:
                left.remove(index)
                continue
            rows = next(iter(found.values()))[0] if isinstance(found, dict) else found[0][1]
            entries += len(rows)
            positions[index] = rows[-1][0]
    spent = time.perf_counter() - begun
    assert entries == 2 * PAIRS
    for client in clients:
        client.close()
    return spent


def matched(urls: tuple[str, str], name: str) -> float:
    """Read and match both streams, with the state in the sister's Redis as usual; seconds."""
    stream = Stream("comment_events", id="event_id", payload="body", codec=Json(), version=lambda e: e["version"])
    production, sister = (RedisEvents(url, stream, entity=lambda e: e["comment_id"]) for url in urls)
    matching = EventStream(
        name,
        production=production,
        sister=sister,
        compare=structural(ignore=["$.emitted_at"]),
        begin="start",
        late=3600,
        tuning=EventTuning(remember=3600),
    )
    begun = time.perf_counter()
    matching.run(until=lambda report: report.matched >= PAIRS)
    spent = time.perf_counter() - begun
    told = matching.report()
    assert told.matched == told.production == told.sister == PAIRS
    assert told.ok, str(told)
    matching.close()
    return spent


def streams(*, alike: bool) -> tuple[float, float]:
    """Compare matching with bare reading, in turns; seconds of the best round of each."""
    with Redis() as ours, Redis() as theirs:
        urls = ours.url, theirs.url
        fill(urls, alike=alike)
        times = [(bare(urls), matched(urls, f"round {number}")) for number in range(ROUNDS)]
    floor, spent = (min(column) for column in zip(*times, strict=True))
    parser = "hiredis" if "hiredis" in sys.modules else "redis-py's own parser"
    print(f"{parser}: bare {2 * PAIRS / floor:,.0f} entries/s, matched {2 * PAIRS / spent:,.0f} entries/s")
    return floor, spent


def main() -> None:
    """Run all and print the table."""
    floor, spent = streams(alike=True)
    bare_other, other = streams(alike=False)
    report(
        "9-events",
        [
            ("events matched and compared, decoded pairs", core(), 1e6 / SPEED, "microseconds of CPU a pair"),
            ("two Redis streams of the same bytes, read and matched", spent / floor, 2, "x a bare loop of XREAD"),
            ("two of other bytes and order: decoded and compared too", other / bare_other, 2, "x a bare loop of XREAD"),
            ("the same", other / PAIRS * 1e6, 100, "microseconds a pair"),
        ],
    )


if __name__ == "__main__":
    main()
