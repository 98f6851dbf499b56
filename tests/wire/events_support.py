"""What tests of events share: streams in memory under a clock of their own, and an account of what is to be found."""

import json
from collections import Counter
from contextlib import contextmanager

import redis
from attrs import evolve

from shadowmig.errors import StoreUnavailable
from shadowmig.stores import Stream
from shadowmig.wire.codecs import Json
from shadowmig.wire.events import EventStream, EventTuning, MemoryEvents, RedisEvents
from shadowmig.wire.events._state import MemoryState

STREAM = Stream("comment_events", id="event_id", payload="body", codec=Json(), version=lambda e: e["version"])

GRACE, LATE = 30.0, 5.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now=1_700_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def body(entity="c1", version=1, **more):
    """Make the bytes of an event."""
    return json.dumps({"comment_id": entity, "version": version, **more}).encode()


class Source(MemoryEvents):
    """A stream in memory that can be away, and counts what it is asked."""

    def __init__(self, clock, **options):
        given = {"codec": Json(), "entity": lambda e: e["comment_id"], "version": lambda e: e["version"]} | options
        super().__init__(clock=clock, **given)
        self.away = False
        self.reads = 0

    def read(self, after, *, count=1000):
        self.reads += 1
        if self.away:
            raise StoreUnavailable("away", store="memory")
        return super().read(after, count=count)

    def find(self, entries):
        if self.away and entries:
            raise StoreUnavailable("away", store="memory")
        return super().find(entries)


class Scene:
    """Two streams in memory, the state of their matching, and as many verifiers as wanted."""

    def __init__(self, *, begin="start", state_lease=10.0, **options):
        self.clock = Clock()
        self.leases = Clock(0.0)
        sources = options.pop("sources", {})
        self.production, self.sister = Source(self.clock, **sources), Source(self.clock, **sources)
        tuning = {"remember": 600.0, "ahead": 0.0, **options.pop("tuning", {})}
        self.state = MemoryState(tuning.get("partitions", 8), lease=state_lease, clock=self.leases)
        self.options = {"begin": begin, "grace": GRACE, "late": LATE, "tuning": EventTuning(**tuning), **options}
        self.streams = []

    def verifier(self, *, page=1000, **options):
        """Make another verifier process, as it were."""
        stream = EventStream(
            "s", production=self.production, sister=self.sister, state=self.state, **{**self.options, **options}
        )
        stream._options = evolve(stream._options, page=page)
        self.streams.append(stream)
        return stream

    def kill(self, stream):
        """Let a verifier vanish, and its leases with the time."""
        self.streams.remove(stream)
        self.leases.now += 100

    def step(self):
        """Let each verifier do rounds until none finds anything to do."""
        if not self.streams:
            self.verifier()
        # The first rounds may only share out the partitions.
        for _ in range(8):
            rounds = 0
            while self.round():
                rounds += 1
                assert rounds < 1000
        return self.report()

    def round(self):
        """Let each verifier do one round, and see to its leases; whether one had something to do."""
        busy = False
        for stream in self.streams:
            stream._mine().verifier._leases._tend_at = float("-inf")
            busy = stream.step() or busy
        return busy

    def wait(self, seconds):
        """Let time pass, and do what is to be done then."""
        self.clock.now += seconds
        return self.step()

    def report(self):
        """Give the report."""
        return self.streams[0].report()

    def faults(self):
        """Give all faults that were committed, as (verdict, id)."""
        return [(fault.verdict.value, fault.id) for fault in self.streams[0].faults(count=100_000)]

    def both(self, name, data, *, lag=0.0):
        """Write one event to both streams."""
        self.production.append(data, id=name)
        self.sister.append(data, id=name, at=self.clock.now + lag)


def told(report):
    """Give the counts of a report by name, those that are not zero."""
    counts = Counter({verdict.value: count for verdict, count in report.verdicts.items()})
    counts.update({f"+{verdict.value}": count for verdict, count in report.beside.items()})
    return {name: count for name, count in counts.items() if count}


def consistent(report):
    """Whether each event of production is counted once."""
    return sum(report.verdicts.values()) + report.open == report.production


def redis_events(url, **options):
    """Make a source of a real stream."""
    return RedisEvents(url, options.pop("stream", STREAM), **{"entity": lambda e: e["comment_id"], **options})


@contextmanager
def client_of(url):
    """Give a client of the service."""
    with redis.Redis.from_url(url) as client:
        yield client


def add(client, name, data=None, **fields):
    """Add an event to the real stream."""
    return client.xadd(STREAM.name, {"event_id": name, "body": body() if data is None else data, **fields})
