"""A pair of stores as one object: its options, its refs, who gets which client, and what is refused."""

import asyncio
import contextvars
import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref
from datetime import timedelta

import pytest
from sister_support import FakeStore, Place, checked, pair

import shadowmig
from shadowmig.errors import ConfigError, NotIsolated, ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import Record, Ref, Side
from shadowmig.stores import SisterStore, Translation, _roles


class RedisLikeStore(FakeStore):
    """A store of another kind, for its name."""


def test_front_door():
    """The front door has it, and so has the room."""
    assert shadowmig.SisterStore is SisterStore
    assert "SisterStore" in shadowmig.__all__


def test_sister_loads_no_driver():
    """Loading it loads no driver, and nothing for event loops."""
    program = "import sys; from shadowmig import SisterStore; print(*sys.modules)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "shadowmig.stores.sister" in done.stdout.split()
    assert {"psycopg", "redis", "pymemcache", "asyncio"}.isdisjoint(done.stdout.split())


def test_sister_connects_to_nothing():
    """Building one asks neither server, and makes production's handle unable to write."""
    production, sister = FakeStore(Place()), FakeStore(Place())
    store = SisterStore(production=production, sister=sister)
    assert production.place.calls == sister.place.calls == []
    assert (production.forbidden, sister.forbidden) == (True, False)
    assert store.isolated is None


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "fake"),
        ({"production": RedisLikeStore(Place())}, "redislike"),
        ({"production": type("Store", (FakeStore,), {})(Place())}, "store"),
        ({"name": "comments.db-2_x"}, "comments.db-2_x"),
    ],
)
def test_sister_name(given, name):
    """The name is the kind of production's store unless one is given."""
    store = SisterStore(**{"production": FakeStore(Place()), "sister": FakeStore(Place())} | given)
    assert store.name == store.key("k").store == name
    assert repr(store) == f"SisterStore({name!r}, production=FakeStore(), sister=FakeStore())"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("production", None),
        ("production", object()),
        ("production", FakeStore),
        ("sister", "postgres://x"),
        ("name", None),
        ("name", "a b"),
        ("name", "a\n"),
        ("name", "x" * 65),
        ("name", 7),
        ("translation", {}),
        ("compare", 3),
        ("ttl_tolerance", -1),
        ("ttl_tolerance", float("nan")),
        ("ttl_tolerance", True),
        ("keep", 0),
        ("keep", timedelta(seconds=-1)),
        ("keep", float("inf")),
        ("keep", "1h"),
    ],
)
def test_sister_wrong_options(field, value):
    """A wrong option is refused when the pair is built, with its name and a remedy."""
    with pytest.raises(ConfigError) as caught:
        pair(**{field: value})
    assert caught.value.field == field
    assert caught.value.remedy


def test_sister_durations():
    """Durations may be timedeltas, there may be no tolerance at all, and records may be kept for ever."""
    pair(ttl_tolerance=timedelta(0), keep=timedelta(minutes=1))
    pair(ttl_tolerance=0, keep=0.5)
    pair(keep=None)


def test_sister_same_object():
    """One store object cannot be both, nor can what is production elsewhere be a sister."""
    one, other = FakeStore(Place()), FakeStore(Place())
    with pytest.raises(ConfigError) as caught:
        SisterStore(production=one, sister=one)
    assert caught.value.field == "sister"
    assert not one.forbidden
    SisterStore(production=one, sister=other)
    with pytest.raises(ConfigError, match="production too"):
        SisterStore(production=FakeStore(Place()), sister=one)


def test_sister_refs():
    """Refs have the store's name, and equal ones are equal wherever they are made."""
    db = pair()
    assert db.row("comments", 7, "en") == Ref("db", "row", "comments", (7, "en"))
    assert db.key("comment:7") == Ref("db", "key", "", ("comment:7",))
    assert db.entry("events", "e1") == Ref("db", "entry", "events", ("e1",))
    stands_for = {db.row("comments", 7): lambda event: event}
    assert db.entry("events", "e1", stands_for=stands_for).stands_for is stands_for
    assert db.entry("events", "e1", stands_for=stands_for) == db.entry("events", "e1")
    assert db.key("k").owner is db


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda db: db.row("secrets"), "'secrets' is missing"),
        (lambda db: db.row("secrets", "s3cret", None), "'secrets' is None"),
        (lambda db: db.row("secrets", ["s3cret"]), "'secrets' cannot be hashed"),
        (lambda db: db.key(None), "is None"),
        (lambda db: db.key({"s3cret": 1}), "cannot be hashed"),
        (lambda db: db.entry("secrets", None), "'secrets' is None"),
        (lambda db: db.entry("secrets", "e", stands_for=[]), "'secrets' is no mapping"),
        (lambda db: db.entry("secrets", "e", stands_for={db.key("s3cret"): 1}), "'secrets' is no mapping"),
        (lambda db: db.entry("secrets", "e", stands_for={"s3cret": len}), "'secrets' is no mapping"),
    ],
)
def test_sister_bad_refs(make, words):
    """A key that is none is refused with the table and a remedy, and without its values."""
    with pytest.raises(StoreError, match=words) as caught:
        make(pair())
    assert "s3cret" not in str(caught.value)
    assert caught.value.remedy
    assert caught.value.store == "db"


def test_sister_foreign_refs():
    """Refs of another sister store are refused by every method that takes refs."""
    db = pair()
    uses = [
        db.read_production,
        db.read_sister,
        lambda refs: asyncio.run(db.aread_production(refs)),
        lambda refs: db.hydrate([Record(ref, 1) for ref in refs]),
        lambda refs: db.write([Record(ref, 1) for ref in refs]),
    ]
    foreign = {"A key of 'cache'": pair(name="cache").key("k"), "A key of 'db'": pair().key("k"), "A str": "k"}
    for use in uses:
        for words, ref in foreign.items():
            with pytest.raises(StoreError, match=words):
                use([ref])
    assert db.sister.place.calls == []


@pytest.mark.parametrize("side", Side)
def test_client_by_role(side):
    """Who is served gets production's client and who is checked gets the sister's, whichever side it is."""
    production, sister = FakeStore(Place()), FakeStore(Place())
    db = pair(production=production, sister=sister)
    assert db.client() is production.place
    with checked(side):
        assert db.client() is sister.place
    assert db.client() is production.place


def test_client_in_tasks_and_threads():
    """The checked side keeps its client in tasks and copied contexts, while other threads have their own."""
    production, sister = FakeStore(Place()), FakeStore(Place())
    db = pair(production=production, sister=sister)
    db.prove()

    async def nested():
        return await asyncio.gather(*(asyncio.create_task(asyncio.to_thread(db.client)) for _ in range(3)))

    async def both():
        with checked():
            inside = asyncio.create_task(nested())
        return await inside, await nested()

    assert asyncio.run(both()) == ([sister.place] * 3, [production.place] * 3)

    def in_thread(target):
        got = []
        thread = threading.Thread(target=lambda: got.append(target()))
        thread.start()
        thread.join()
        return got[0]

    with checked():
        context = contextvars.copy_context()
        assert in_thread(lambda: context.run(db.client)) is sister.place
        assert in_thread(db.client) is production.place


def test_client_proves_first():
    """The checked side gets no client of a sister that is not isolated, and on an event loop none in doubt."""
    place = Place()
    same = pair(production=FakeStore(place), sister=FakeStore(place))
    assert same.client() is place
    with checked(), pytest.raises(NotIsolated):
        same.client()

    db = pair()

    async def handler():
        with checked():
            return db.client()

    with pytest.raises(NotIsolated, match="prove"):
        asyncio.run(handler())
    assert db.isolated is None
    db.prove()
    assert asyncio.run(handler()) is db.sister.client()


@pytest.mark.parametrize("side", Side)
def test_production_refused(side):
    """The checked side is refused production by the pair and by the store object itself, and ordinary code is not."""
    production = FakeStore(Place())
    db = pair(production=production)
    asks = [
        production.client,
        lambda: db.production,
        lambda: db.read_production([]),
        lambda: asyncio.run(db.aread_production([])),
    ]
    for ask in asks:
        ask()
        with checked(side), pytest.raises(ProductionRefused) as caught:
            ask()
        assert pickle.loads(pickle.dumps(caught.value)).remedy
    with checked(side):
        assert db.sister.client() is db.client()


def test_roles_follow_the_object():
    """Only the very object that was declared is refused, as long as it lives, equal and slotted ones too."""

    class Alike(FakeStore):
        __hash__ = None

        def __eq__(self, other):
            return True

    class Slotted:
        __slots__ = ()

    one, other, slotted = Alike(Place()), Alike(Place()), Slotted()
    _roles.declare(one)
    _roles.declare(one)
    _roles.declare(slotted)
    assert [_roles.is_production(store) for store in (one, other, slotted, Slotted())] == [True, False, True, False]
    alive, number = weakref.ref(one), id(one)
    assert number in _roles._PRODUCTION
    del one
    gc.collect()
    assert alive() is None
    assert number not in _roles._PRODUCTION
    with checked():
        other.client()


def test_sister_probe():
    """Probing writes a mark to the sister, and takes an outage for a reason to prove it again."""
    db = pair()
    db.prove()
    before = len(db.production.place.calls)
    db.probe()
    assert db.sister.place.calls[-1] == "plant"
    assert len(db.production.place.calls) == before
    db.sister.place.down = True
    with pytest.raises(StoreUnavailable):
        db.probe()
    assert db.isolated is None


def test_sister_close():
    """Closing closes both, even if production's fails, and may be done twice."""

    class Failing(FakeStore):
        def close(self):
            super().close()
            raise StoreError("It does not close.")

    db = pair()
    db.close()
    db.close()
    assert (db.production.closed, db.sister.closed) == (2, 2)
    failing = pair(production=Failing(Place()))
    with pytest.raises(StoreError):
        failing.close()
    assert failing.sister.closed == 1


def test_sister_after_fork():
    """A forked child knows nothing of its parent's proof, and makes its own even if a thread held the parent's lock."""
    db = pair()
    db.prove()
    with db._state().proof._lock:
        child = os.fork()
        if child == 0:  # pragma: no cover - it runs in the child
            good = False
            try:
                known = db.isolated
                db.prove()
                good = known is None and db.isolated is True and len(db._states) == 1
            finally:
                os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert db.isolated is True


def test_translation_options():
    """A part of a translation that cannot be called is refused by name."""
    with pytest.raises(ConfigError) as caught:
        Translation(hydrate="json")
    assert caught.value.field == "hydrate"
