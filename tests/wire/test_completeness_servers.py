"""`Completeness` over real Postgres and Redis: writers with transactions, planted faults, and servers that go away."""

import json
import random
import threading
import time
import uuid

import psycopg
import pytest
import redis as redis_driver

from shadowmig.errors import StoreError
from shadowmig.stores.postgres import PostgresStore
from shadowmig.stores.streams import Stream
from shadowmig.stores.tables import Table
from shadowmig.wire.codecs import Json
from shadowmig.wire.events.completeness import Completeness, FaultKind, _postgres, _statements
from shadowmig.wire.events.redis import RedisEvents

TABLE = Table("comments", key="id", version="version")
CREATE = """
    CREATE TABLE comments (
        id bigint PRIMARY KEY, body text, version int NOT NULL, changed_at timestamptz NOT NULL DEFAULT now()
    )
"""
GRACE = 0.3


class Service:
    """A service that writes rows to Postgres and events to Redis, and a check of both."""

    def __init__(self, postgres_url, redis_url, *, table=TABLE, create=CREATE, stream="events", timeout=5.0, **options):
        self.stream = stream
        self.grace = options.get("grace", GRACE)
        self.url = postgres_url
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(create)
        self.redis = redis_driver.Redis.from_url(redis_url)
        self.store = PostgresStore(postgres_url, tables=[table], timeout=timeout)
        self.events = RedisEvents(redis_url, Stream(stream, payload="body", codec=Json()), timeout=timeout)
        given = {
            "entity": lambda event: event["id"],
            "version": lambda event: event["version"],
            "deleted": lambda event: event["type"] == "deleted",
            "grace": GRACE,
            "interval": 0.05,
        }
        self.check = Completeness(table.name, store=self.store, events=self.events, **(given | options))

    def run(self, statement, values=()):
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else None

    def send(self, key, version, kind="updated"):
        self.redis.xadd(self.stream, {"body": json.dumps({"id": key, "version": version, "type": kind})})

    def settle(self):
        """Look until all is decided."""
        return self.check.finish()

    def begin(self):
        """Take the base, and wait until nothing counts as early any more."""
        self.check.step()
        time.sleep(self.grace)

    def faults(self):
        return sorted((fault.kind.name, fault.entity, fault.version) for fault in self.check.faults())

    def close(self):
        self.check.stop()
        self.redis.close()
        self.store.close()
        self.events.close()


@pytest.fixture
def service(postgres_url, redis_url):
    made = []

    def make(**options):
        made.append(Service(options.pop("postgres_url", postgres_url), redis_url, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Writer(threading.Thread):
    """Creates, updates and deletes rows of its own, keys used again among them, and sends an event for each change."""

    def __init__(self, service, number, writers, changes, plants=()):
        super().__init__()
        self.service = service
        self.random = random.Random(number)
        self.rows = dict.fromkeys(range(1 + number, 401, writers), 3)
        self.next = 10_000 * (number + 1)
        self.free = []
        self.changes = changes
        self.plants = list(plants)
        self.planted = []
        self.late = []
        self.made = 0
        self.error = None

    def run(self):
        try:
            with psycopg.connect(self.service.url) as self.connection, self.service.redis.client() as self.client:
                pause = self.changes // (len(self.plants) + 1)
                for turn in range(1, self.changes + 1):
                    self._change()
                    if self.plants and turn % pause == 0:
                        self._plant(self.plants.pop(0))
        except BaseException as error:
            self.error = error
            raise

    def _change(self):
        chance = self.random.random()
        if chance < 0.1 or len(self.rows) < 5:
            key = self._new()
            self._commit("INSERT INTO comments VALUES (%s, 'x', 1)", (key,), key, 1, "created")
        elif chance < 0.18:
            key = self.random.choice(list(self.rows))
            version = self.rows.pop(key) + 1
            self.free.append(key)
            self._commit("DELETE FROM comments WHERE id = %s", (key,), key, version, "deleted")
        else:
            self._update(self.random.choice(list(self.rows)))

    def _new(self):
        if self.free and self.random.random() < 0.5:
            key = self.free.pop(0)
        else:
            self.next += 1
            key = self.next
        self.rows[key] = 1
        return key

    def _update(self, key, by=1, times=1):
        self.rows[key] += by
        statement = "UPDATE comments SET version = version + %s, changed_at = now() WHERE id = %s"
        self._commit(statement, (by, key), key, self.rows[key], "updated", times=times)

    def _commit(self, statement, values, key, version, kind, times=1):
        self.connection.execute(statement, values)
        first = self.random.random() < 0.5
        if first:
            self._send(key, version, kind, times)
        self.connection.commit()
        if not first:
            self._send(key, version, kind, times)
        self.made += 1

    def _send(self, key, version, kind, times=1):
        body = json.dumps({"id": str(key) if key % 2 else key, "version": version, "type": kind})
        for _ in range(times):
            self.client.xadd("events", {"body": body})

    def _plant(self, what):
        """Plant a fault in a row that has been there for long, and is left alone from then on."""
        key = next(iter(self.rows))
        version = self.rows[key] + 1
        if what == "lost":
            self._update(key, times=0)
            self.planted.append(({"MISSING", "SKIPPED"}, str(key), version))
        elif what == "doubled":
            self._update(key, times=2)
            self.planted.append(({"DOUBLED"}, str(key), version))
        elif what == "two versions, one event":
            self._update(key, by=2)
            self.planted.append(({"SKIPPED"}, str(key), version))
        elif what == "rolled back":
            self.connection.execute("UPDATE comments SET version = version + 1 WHERE id = %s", (key,))
            self._send(key, version, "updated")
            self.connection.rollback()
            self.planted.append(({"EXTRA"}, str(key), version))
        elif what == "deleted in silence":
            self._commit("DELETE FROM comments WHERE id = %s", (key,), key, version, "deleted", times=0)
            self.planted.append(({"MISSING"}, str(key), version))
        else:
            self._update(key, times=0)
            self.late.append((key, version))
        del self.rows[key]


PLANTS = ["lost", "doubled", "two versions, one event", "rolled back", "deleted in silence", "late"]


def traffic(service, *, changes, plants=()):
    writers = [Writer(service, number, 8, changes // 8, plants) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.error for writer in writers if writer.error] == []
    return writers


def test_a_long_clean_run_has_no_false_alarm(service):
    """Over thousands of changes of eight writers, deletions and keys used again, all have their event."""
    made = service(grace=2.0, sweep=5000.0)
    made.run("INSERT INTO comments SELECT n, 'x', 3 FROM generate_series(1, 400) AS n")
    made.begin()
    with made.check:
        writers = traffic(made, changes=2_400)
    report = made.settle()
    assert made.check.faults() == ()
    assert made.check.late() == ()
    assert report.ok
    assert report.changes == report.events == sum(writer.made for writer in writers)
    assert report.swept is not None


def test_a_base_in_the_middle_of_the_traffic(service):
    """A base that is taken while eight writers are at work leads to no false alarm."""
    made = service(grace=2.0, sweep=5000.0)
    made.run("INSERT INTO comments SELECT n, 'x', 3 FROM generate_series(1, 400) AS n")
    writers = [Writer(made, number, 8, 150) for number in range(8)]
    for writer in writers:
        writer.start()
    with made.check:
        while any(writer.is_alive() for writer in writers):
            made.check.renew()
            writers[0].join(0.2)
        for writer in writers:
            writer.join()
    made.settle()  # takes a base, if the last one is yet to be taken
    report = made.settle()
    assert made.check.faults() == ()
    assert made.check.late() == ()
    assert report.ok
    assert report.renewed > 0


def test_planted_faults_are_found_by_name(service):
    """Of every kind of fault, planted by each of eight writers, all are told by name, and nothing else is."""
    made = service(grace=2.0, sweep=20_000.0)
    made.run("INSERT INTO comments SELECT n, 'x', 3 FROM generate_series(1, 400) AS n")
    made.begin()
    with made.check:
        writers = traffic(made, changes=1_200, plants=PLANTS)
        late = [each for writer in writers for each in writer.late]
        ended = time.monotonic()
        while time.monotonic() < ended + 20:
            told = {(fault.entity, fault.version) for fault in made.check.faults()}
            if all((str(key), version) in told for key, version in late):
                break
            time.sleep(0.1)
        for key, version in late:
            made.send(key, version)
    made.settle()
    planted = {(entity, version): names for writer in writers for names, entity, version in writer.planted}
    told = {(entity, version): name for name, entity, version in made.faults()}
    assert told.keys() == planted.keys()
    assert all(told[place] in names for place, names in planted.items())
    assert {(fault.entity, fault.version) for fault in made.check.late()} >= {(str(key), v) for key, v in late}
    assert made.check.report().open == 0


def test_a_long_transaction_hides_nothing(service):
    """A transaction that was open across many looks is seen by the first look after its commit, savepoints too."""
    made = service()
    made.run("INSERT INTO comments SELECT n, 'x', 3 FROM generate_series(1, 9) AS n")
    made.begin()
    with psycopg.connect(made.url) as long:
        long.execute("UPDATE comments SET version = 4 WHERE id = 1")
        with long.transaction(), long.transaction():
            long.execute("UPDATE comments SET version = 4 WHERE id = 2")
        for number in range(3, 9):
            made.run("UPDATE comments SET version = 4 WHERE id = %s", (number,))
            made.send(number, 4)
            made.check.step()
        made.send(2, 4)
        assert made.settle().extra == 1
        long.commit()
    report = made.settle()
    assert made.faults() == [("MISSING", "1", 4)]
    assert report.late == 1


def test_looks_in_several_pages(service, monkeypatch):
    """Rows come in pages, when the base is taken and at every look, and none is passed over."""
    monkeypatch.setattr(_statements, "PAGE", 7)
    monkeypatch.setattr(_postgres, "PAGE", 7)
    table = Table("votes", key=["voter", "comment"], version="version")
    create = "CREATE TABLE votes (voter text, comment int, version int, PRIMARY KEY (voter, comment))"
    made = service(table=table, create=create, entity=lambda event: event["id"])
    made.run("INSERT INTO votes SELECT 'a,\"b' || mod(n, 5), n, 3 FROM generate_series(1, 20) AS n")
    made.begin()
    made.run("UPDATE votes SET version = 4")
    for number in range(1, 20):
        made.send([f'a,"b{number % 5}', number], 4)
    made.send("no key", 4)
    made.send(["a", "no number"], 4)
    report = made.settle()
    assert made.faults() == [
        ("EXTRA", '["a", "no number"]', 4),
        ("EXTRA", "no key", 4),
        ("MISSING", '["a,\\"b0", "20"]', 4),
    ]
    assert report.matched == 19


def test_keys_of_other_types(service):
    """Keys that are no numbers are found again by their text."""
    table = Table("things", key="id", version="version")
    made = service(table=table, create="CREATE TABLE things (id uuid PRIMARY KEY, version numeric)")
    made.begin()
    known = uuid.uuid4()
    made.run("INSERT INTO things VALUES (%s, 1.0)", (known,))
    made.send(str(known), 1)
    made.send("no uuid", 1)
    made.send(str(uuid.uuid4()), 1)
    made.send(str(known).upper(), 1)
    report = made.settle()
    assert (report.changes, report.extra, report.missing) == (1, 3, 0)


def test_covered_rows_of_postgres(service):
    """What ``where`` is given is the whole row, or the columns of the table that are covered."""
    made = service(where=lambda row: row["body"] == "public", table=Table("comments", key="id", version="version"))
    made.begin()
    made.run("INSERT INTO comments VALUES (1, 'public', 1), (2, 'draft', 1)")
    made.send(1, 1)
    assert made.settle().ok
    assert made.check.report().changes == 1
    table = Table("comments", key="id", version="version", columns=["id", "version", "body"])
    check = Completeness(
        "comments",
        store=PostgresStore(made.url, tables=[table]),
        events=made.events,
        entity=len,
        version=len,
        where=lambda row: sorted(row) == ["body", "id", "version"] and row["body"] == "draft",
        grace=GRACE,
    )
    assert check.step().unavailable == ""
    assert check._check.ledger.alive() == ["2"]
    check._check.rows._store.close()


@pytest.mark.parametrize("pages", [7, 20_000])
def test_looks_by_the_time_of_the_last_change(service, monkeypatch, pages):
    """With a column that has the time of the last change, a look reads only rows that it says have changed."""
    monkeypatch.setattr(_statements, "PAGE", pages)
    monkeypatch.setattr(_postgres, "PAGE", pages)
    made = service(recent="changed_at", baseline="now")
    made.run("INSERT INTO comments SELECT n, 'x', 3, now() - interval '1 day' FROM generate_series(1, 30) AS n")
    made.begin()
    made.run("UPDATE comments SET version = 4, changed_at = now() WHERE id <= 20")
    made.run("UPDATE comments SET version = 4 WHERE id = 21")
    for number in range(1, 20):
        made.send(number, 4)
    report = made.settle()
    assert made.faults() == [("MISSING", "20", 4)]
    assert report.matched == 19
    made.send(21, 4)
    assert made.settle().matched == 20


def test_a_table_that_is_locked(service):
    """While a table is locked its rows cannot be read: the report says so, and nothing is judged."""
    made = service(timeout=0.3)
    made.begin()
    made.send(1, 1)
    with psycopg.connect(made.url) as locking:
        locking.execute("LOCK TABLE comments")
        until = time.monotonic() + 3 * GRACE
        while time.monotonic() < until:
            report = made.check.step()
            assert report.unavailable.startswith("rows: ")
            assert report.extra == 0
    made.run("INSERT INTO comments VALUES (1, 'x', 1)")
    report = made.settle()
    assert report.ok
    assert (report.changes, report.unavailable) == (1, "")


def test_a_stream_that_does_not_answer(service):
    """While Redis does not answer the report says so, and no change is missing its event."""
    made = service(timeout=0.3)
    made.begin()
    made.run("INSERT INTO comments VALUES (1, 'x', 1)")
    made.send(1, 1)
    made.redis.execute_command("CLIENT", "PAUSE", int(GRACE * 3000), "ALL")
    until = time.monotonic() + 2 * GRACE
    while time.monotonic() < until:
        report = made.check.step()
        assert report.unavailable.startswith("events: ")
        assert report.missing == 0
    time.sleep(GRACE)
    report = made.settle()
    assert report.ok
    assert (report.changes, report.unavailable) == (1, "")


def test_sessions_that_are_ended(service):
    """When the servers end the sessions, as a restart does, the check goes on with new ones."""
    made = service()
    made.begin()
    made.run("INSERT INTO comments VALUES (1, 'x', 1)")
    made.send(1, 1)
    made.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shadowmig'")
    made.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    report = made.settle()
    assert report.ok
    assert report.changes == 1


def test_a_stream_that_is_trimmed_or_gone(service):
    """Events that were trimmed before they were read, or a stream that is gone, lead to a new base."""
    made = service()
    made.begin()
    made.run("INSERT INTO comments SELECT n, 'x', 1 FROM generate_series(1, 5) AS n")
    made.send(1, 1)
    made.check.step()
    for number in range(2, 6):
        made.send(number, 1)
    made.redis.xtrim("events", maxlen=1, approximate=False)
    assert "trimmed" in made.check.step().unavailable
    made.redis.delete("events")
    made.check.step()
    report = made.settle()
    assert (report.renewed, report.missing) == (1, 0)
    made.send(1, 2)
    made.check.step()
    made.redis.delete("events")
    assert "remade" in made.check.step().unavailable
    assert made.settle().missing == 0


def test_another_server_behind_the_address(service):
    """Where transactions are counted anew, the server is another one, and a new base is taken."""
    made = service()
    made.begin()
    made.check._check.rows._mark += 10**6
    report = made.check.step()
    assert (report.renewed, "counts transactions anew" in report.unavailable) == (1, True)
    assert made.settle().ok


def test_a_table_that_is_not_there(service):
    """A table or column that is not there is said by the report, with the server's word."""
    made = service(table=Table("comments", key="id", version="nothing"))
    assert made.check.step().unavailable.startswith("base: ")
    rows = made.check._check.rows
    with pytest.raises(StoreError):
        list(rows.scan())
    made.run("DROP TABLE comments")
    with pytest.raises(StoreError):
        rows.find(["1"])


def test_statements_of_ones_own(service):
    """A store runs statements that only read, all as of one moment, and refuses others."""
    made = service()
    made.run("INSERT INTO comments SELECT n, 'x', 1 FROM generate_series(1, 3) AS n")
    statements = [
        ("SELECT id, body AS text FROM comments WHERE id > $1 ORDER BY id", ["1"]),
        ("SELECT coalesce($1, 'none')", [None]),
    ]
    assert made.store.select(statements) == [(["id", "text"], [(2, "x"), (3, "x")]), (["coalesce"], [("none",)])]
    with pytest.raises(StoreError, match="comments"):
        made.store.select([("UPDATE comments SET version = 2", [])], table="comments")
    assert made.run("SELECT sum(version) FROM comments") == [(3,)]


def test_production_and_sister_each(service, sister_url):
    """Production and sister each have a check, and a fault of one is told of that one only."""
    production = service()
    sister = service(postgres_url=sister_url, stream="sister_events")
    for each in (production, sister):
        each.check.step()
    time.sleep(GRACE)
    for each in (production, sister):
        each.run("INSERT INTO comments VALUES (1, 'x', 1)")
    production.send(1, 1)
    reports = [each.settle() for each in (production, sister)]
    assert [(report.changes, report.missing) for report in reports] == [(1, 0), (1, 1)]
    assert sister.faults() == [(FaultKind.MISSING.name, "1", 1)]
