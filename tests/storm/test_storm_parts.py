"""The storm's parts: places, defects, the traffic that race verdicts are held against, stores without tokens."""

from datetime import UTC, datetime

import pytest

import shadowmig.testing.storm
from shadowmig.errors import ConfigError
from shadowmig.model import Call, Difference, Record, Ref
from shadowmig.stores import Table
from shadowmig.stores.memory import MemoryStore
from shadowmig.testing.storm import Candidate, Defect, Place, catalogue, register
from shadowmig.testing.storm._traffic import Traffic
from shadowmig.testing.storm.sites import Tokenless

ROW = Ref("db", "row", "comments", (7,))


def called():
    """A call that is made now."""
    return Call("1", "update", datetime.now(UTC), (7, "tea"))


def test_storm_front_door():
    """The package lists its names, has each of them, and nothing else."""
    for name in shadowmig.testing.storm.__all__:
        assert hasattr(shadowmig.testing.storm, name)
        assert name in dir(shadowmig.testing.storm)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = shadowmig.testing.storm.nonsense


def test_storm_place():
    """A place has a difference of its store, path and kind, indices folded, and of its table if it names one."""
    difference = Difference("$.tags[2]", "changed", ref=ROW)
    assert Place("db", "$.tags[*]", "changed").has(difference)
    assert Place("db", "$.tags[*]", "changed", "comments").has(difference)
    assert not Place("db", "$.tags[*]", "changed", "posts").has(difference)
    assert not Place("db", "$.tags[*]", "type").has(difference)
    assert not Place("", "$.tags[*]", "changed").has(difference)
    assert Place("", "$.score", "type").has(Difference("$.score", "type"))


@pytest.mark.parametrize(("field", "place"), [("store", ("redis", "$", "changed")), ("kind", ("db", "$", "wrong"))])
def test_storm_wrong_place(field, place):
    """A place in no store of the storm, or of no kind, is refused."""
    with pytest.raises(ConfigError, match=field):
        Place(*place)


@pytest.mark.parametrize("places", [[], ["db"]])
def test_storm_defect_needs_places(places):
    """A defect that shows nowhere is refused."""
    with pytest.raises(ConfigError, match="places"):
        Defect("mine", "-", Candidate, places)


@pytest.mark.parametrize("name", ["all", "none", "body-truncated"])
def test_storm_names_are_unique(name):
    """A defect cannot be registered under a name that means something already."""
    catalogue()
    with pytest.raises(ConfigError, match=name):
        register(Defect(name, "-", Candidate, [Place("db", "$", "missing")]))


def test_storm_traffic():
    """A call shared its record if another write to it was under way since the call began, its own not counted."""
    traffic, entity = Traffic(), ("comments", 7)
    traffic.leave(traffic.enter([entity]))
    own = traffic.enter([("posts", 1)])
    call = called()
    traffic.join(own, [entity])
    assert not traffic.shared(call, [entity])
    assert not traffic.shared(call, [("comments", 8)])
    other = traffic.enter([entity])
    assert traffic.shared(call, [("posts", 1), entity])
    traffic.leave(own)
    traffic.leave(other)
    assert traffic.shared(call, [entity])


def test_storm_tokenless():
    """A store wrapped so gives its records without token and version, and is otherwise the store."""
    store = MemoryStore(tables=[Table("comments", key="id", version="version")])
    store.write([Record(ROW, {"id": 7, "version": 3})])
    (record,) = Tokenless(store).read([ROW]).records
    assert (record.value, record.token, record.version) == ({"id": 7, "version": 3}, None, None)
    assert Tokenless(store).identity() == store.identity()
    assert "Tokenless(MemoryStore" in repr(Tokenless(store))
