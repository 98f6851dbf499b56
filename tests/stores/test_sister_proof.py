"""Isolation is proved before anything is written, once, and again when it may have ended."""

import threading
import time

import pytest
from sister_support import FakeStore, Place, checked, pair

from shadowmig.errors import NotIsolated, StoreError, StoreUnavailable
from shadowmig.model import Record
from shadowmig.stores import _sister_proof

WRITES = {
    "hydrate": lambda db: db.hydrate([Record(db.key("k"), 1)]),
    "write": lambda db: db.write([Record(db.key("k"), 1)]),
    "reset": lambda db: db.reset(),
    "provision": lambda db: db.provision(),
    "backfill": lambda db: db.backfill(),
}


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that stands still until it is set."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(_sister_proof.time, "monotonic", lambda: Clock.now)
    return Clock


def test_proof_by_servers():
    """Two places are proved to be two, with the mark removed, and asked no more after that."""
    db = pair()
    db.prove()
    assert db.isolated is True
    assert db.sister.place.nonce == ""
    calls = list(db.production.place.calls)
    assert calls == ["identity", "finds"]
    db.prove()
    db.hydrate([Record(db.key("k"), 1)])
    assert db.production.place.calls == calls
    assert db.sister.place.calls[-1] == ("write", 1)


def test_one_identity():
    """Two handles of one place are refused by their identities, and nothing at all is written."""
    place = Place()
    db = pair(production=FakeStore(place), sister=FakeStore(place))
    with pytest.raises(NotIsolated) as caught:
        db.prove()
    assert caught.value.test == "identity"
    assert caught.value.remedy
    assert db.isolated is False
    assert place.calls == ["identity", "identity"]


def test_two_identities_of_one_place():
    """One place with two identities, as behind a proxy, is refused by its mark, which is removed."""
    place = Place()
    db = pair(production=FakeStore(place, identity="a"), sister=FakeStore(place, identity="b"))
    with pytest.raises(NotIsolated) as caught:
        db.prove()
    assert caught.value.test == "production"
    assert place.nonce == ""


@pytest.fixture
def impatient(monkeypatch):
    """Tries again at once."""
    monkeypatch.setattr(_sister_proof, "_LONGEST_WAIT", 0.0)


@pytest.mark.parametrize("lost", [1, 11])
def test_mark_replaced(impatient, lost):
    """A mark that another process replaced is planted again, and the other's is left where it is."""
    db = pair()
    db.sister.place.forgetful = lost
    db.sister.place.nonce = "another's"
    db.prove()
    assert db.isolated is True
    assert db.sister.place.calls.count("plant") == lost + 2


def test_mark_lost(impatient, clock):
    """A sister that keeps no mark is refused, and asked again before long."""
    db = pair()
    db.sister.place.forgetful = 12
    with pytest.raises(NotIsolated) as caught:
        db.prove()
    assert caught.value.test == "sister"
    assert db.isolated is False
    with pytest.raises(NotIsolated):
        db.prove()
    clock.now += 0.5
    db.prove()
    assert db.isolated is True


def test_mark_replaced_before_production_looked(impatient):
    """A mark that another process replaced before production was asked proves nothing."""
    place = Place()

    class Slow(FakeStore):
        def finds(self, nonce):
            self.place.nonce = "another's"
            return super().finds(nonce)

    db = pair(production=Slow(place, identity="a"), sister=FakeStore(place, identity="b"))
    with pytest.raises(NotIsolated) as caught:
        db.prove()
    assert caught.value.test == "sister"


def test_many_prove_one_sister():
    """Processes that start together and prove the same sister all come through."""
    production, sister = Place(), Place()

    class Slow(FakeStore):
        def finds(self, nonce):
            time.sleep(0.001)
            return super().finds(nonce)

    pairs = [pair(production=Slow(production), sister=FakeStore(sister)) for _ in range(8)]
    barrier = threading.Barrier(8)

    def run(db):
        barrier.wait()
        db.prove()

    threads = [threading.Thread(target=run, args=(db,)) for db in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [db.isolated for db in pairs] == [True] * 8
    assert sister.nonce == ""


@pytest.mark.parametrize("name", WRITES)
def test_nothing_written_without_proof(name):
    """No method writes to a sister that is the same place as production."""
    place = Place()
    db = pair(production=FakeStore(place), sister=FakeStore(place))
    place.put(db.key("k"), "users' own")
    for _ in range(2):
        with pytest.raises(NotIsolated):
            WRITES[name](db)
    assert place.calls == ["identity", "identity"]
    assert [record.value for record in place.records.values()] == ["users' own"]


def test_expire_needs_proof():
    """What expires is not removed while the sister is in doubt."""
    db = pair(keep=1)
    db.hydrate([Record(db.key("k"), 1)])
    db._state().proof.doubt()
    db.sister.told = str(id(db.production.place))
    with pytest.raises(NotIsolated):
        db.expire(now=1e12)
    assert len(db.sister.place.records) == 1


def pauses(prove, place, clock, count):
    """Measure for how long a failing proof leaves the servers alone, by steps of half a second."""
    found = []
    for _ in range(count):
        prove()
        asked, start = len(place.calls), clock.now
        while len(place.calls) == asked:
            clock.now += 0.5
            prove()
        found.append(clock.now - start)
    return found


def test_not_isolated_is_not_asked_again(clock):
    """A refuted proof keeps failing without asking the servers, for a minute at first and an hour at most."""
    place = Place()
    db = pair(production=FakeStore(place), sister=FakeStore(place))

    def prove():
        with pytest.raises(NotIsolated) as caught:
            db.prove()
        assert caught.value.test == "identity"
        assert db.isolated is False

    assert pauses(prove, place, clock, 8) == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_unreachable_is_not_refuted(clock):
    """A sister that is down is unavailable, not refuted; it is asked again after growing pauses, and then proved."""
    db = pair()
    place = db.sister.place
    place.down = True

    def prove():
        with pytest.raises(StoreUnavailable):
            db.prove()
        assert db.isolated is None

    assert pauses(prove, place, clock, 8) == [0.5, 1, 2, 4, 8, 16, 30, 30]
    place.down = False
    prove()
    clock.now += 30
    db.prove()
    assert db.isolated is True


def test_refusal_is_passed_on(clock):
    """A server that does not let a mark be planted is a store error with a pause, and says nothing of isolation."""

    class Refusing(FakeStore):
        def plant(self, nonce):
            super().plant(nonce)
            raise StoreError("No permission.")

    db = pair(sister=Refusing(Place()))
    for _ in range(3):
        with pytest.raises(StoreError, match="No permission"):
            db.prove()
    assert db.isolated is None
    assert db.sister.place.calls == ["identity", "plant"]


@pytest.mark.parametrize("use", ["read_sister", "hydrate"])
def test_proved_again_after_an_outage(use):
    """After the sister was unavailable it is proved again, because another server may answer now."""
    db = pair()
    act = {"read_sister": lambda: db.read_sister([db.key("k")]), "hydrate": lambda: WRITES["hydrate"](db)}[use]
    db.prove()
    db.sister.place.down = True
    with pytest.raises(StoreUnavailable):
        act()
    assert db.isolated is None
    db.sister.place = db.production.place  # the name leads to production now
    with pytest.raises(NotIsolated):
        WRITES["write"](db)
    assert db.production.place.records == {}


def test_outage_of_an_unproved_sister():
    """An outage while reading leaves an unproved sister unproved."""
    db = pair()
    db.sister.place.down = True
    with pytest.raises(StoreUnavailable):
        db.read_sister([db.key("k")])
    assert db.isolated is None


def test_mark_that_cannot_be_removed():
    """A mark that cannot be removed does not spoil the proof."""

    class Keeping(FakeStore):
        def plant(self, nonce):
            super().plant(nonce)
            if not nonce:
                raise StoreUnavailable("Gone.")

    db = pair(sister=Keeping(Place()))
    db.prove()
    assert db.isolated is True


def test_threads_prove_once():
    """Of threads that need the proof together one proves, and the others go on with it."""
    db = pair()
    barrier, errors = threading.Barrier(8), []

    def run():
        barrier.wait()
        try:
            db.prove()
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert db.production.place.calls == ["identity", "finds"]


def test_waiting_for_the_proof(monkeypatch):
    """Who waited for another thread's proof does not prove again."""
    db = pair()
    proof = db._state().proof
    with proof._lock:
        waiting = threading.Thread(target=db.prove)
        waiting.start()
        proof.isolated = True
    waiting.join()
    assert db.production.place.calls == []


def test_proof_asked_for_by_the_checked_side():
    """A proof that the checked side needs is made outside of it, so that production may be asked."""

    class Asking(FakeStore):
        def identity(self):
            self.client()
            return super().identity()

    db = pair(production=Asking(Place()))
    with checked():
        assert db.client() is db.sister.place
