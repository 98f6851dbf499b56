"""Bytes in real caches, read crosswise by the legacy's codec and the new one."""

import json
import pickle
import zlib
from contextlib import closing

import pytest
from pymemcache.serde import CompressedSerde, pickle_serde

from shadowmig import Migration, SisterStore, structural
from shadowmig.errors import CodecError, CodecUnavailable, ConfigError, StoreUnavailable
from shadowmig.stores import MemcachedStore, MemoryStore, RedisStore
from shadowmig.testing.servers import Memcached
from shadowmig.wire import Compressed, Json, Raw, Serde
from shadowmig.wire.caches import CachedBytes, Crosswise

PICKLED = Serde(pickle_serde)
VALUE = {"id": 7, "body": "hi", "version": 3}


class Baseplate:
    """A legacy reader as many are: what it cannot read is a miss."""

    def encode(self, value):
        return json.dumps(value).encode(), 4

    def decode(self, data, flags):
        if flags != 4:
            return None
        try:
            return json.loads(data)
        except ValueError:
            return None


@pytest.fixture(scope="module")
def servers(memcached):
    with Memcached() as sister:
        yield [f"{each.host}:{each.port}" for each in (memcached, sister)]


@pytest.fixture
def cache(servers, memcached_prefix):
    """A sister store whose records are bytes, with a function that fills one key on both sides."""
    production, sister = map(MemcachedStore, servers)
    with closing(SisterStore(production=production, sister=sister, name="cache")) as store:
        store.prove()

        def fill(key, old=None, new=None):
            for each, item in ((production, old), (sister, new)):
                if item is not None:
                    assert each.client().set(memcached_prefix + key, item[0], flags=item[1])
            return store.key(memcached_prefix + key)

        yield store, fill


def cells(report):
    """Give what came of each cell, in short."""
    return {
        str(cell): {outcome.value: count for outcome, count in cell.counts.items() if count} for cell in report.cells
    }


def all_of(outcome, count=1):
    readings = [f"{side} -> {reader}" for side in ("production", "sister") for reader in ("legacy", "new")]
    return {reading: {outcome: count} for reading in readings}


def test_same_codec(cache):
    """Where both write the same bytes, all four readings are identical."""
    store, fill = cache
    refs = [fill(f"k{number}", PICKLED.encode(VALUE), PICKLED.encode(VALUE)) for number in range(3)]
    report = CachedBytes(store, legacy=PICKLED, new=PICKLED).check(refs)
    assert cells(report) == all_of("identical", 3)
    assert (report.ok, report.compared, report.faults) == (True, 3, ())


def test_other_bytes_of_the_same_value(cache):
    """Other bytes that both read as the same value are equal, which is no fault."""
    store, fill = cache
    ref = fill("k", (b'{"id":7}', 0), (b'{ "id": 7 }', 0))
    report = CachedBytes(store, legacy=Json(), new=Json()).check([ref])
    assert cells(report)["sister -> legacy"] == {"equal": 1}
    assert cells(report)["production -> legacy"] == {"identical": 1}
    assert report.ok


def test_both_directions(cache):
    """What one side writes and the other cannot read is found in both directions, with the reader's own error."""
    store, fill = cache
    ref = fill("k", PICKLED.encode(VALUE), Json(flags=1).encode(VALUE))
    report = CachedBytes(store, legacy=PICKLED, new=Json()).check([ref])
    assert cells(report) == {
        "production -> legacy": {"identical": 1},
        "production -> new": {"undecodable": 1},
        "sister -> legacy": {"miss": 1},
        "sister -> new": {"equal": 1},
    }
    first, second = report.faults
    assert (first.writer, first.reader, first.error.split(" ")[0]) == ("production", "new", "CodecError")
    assert (second.writer, second.reader, second.name, second.got) == ("sister", "legacy", "reads as a miss", None)
    assert "legacy reads sister: miss" in str(report)
    assert not report.ok


def test_flags_lost(cache):
    """A writer that loses the flags is found, and the flags of both are in the fault."""
    store, fill = cache
    ref = fill("k", PICKLED.encode(VALUE), (PICKLED.encode(VALUE)[0], 0))
    report = CachedBytes(store, legacy=PICKLED, new=PICKLED).check([ref])
    assert cells(report)["sister -> legacy"].keys() <= {"different", "silently wrong"}
    assert report.faults[0].flags == (1, 0)
    assert "(flags 1 became 0)" in str(report.faults[0])


def test_read_as_a_miss(cache):
    """A legacy that takes what it cannot read for a miss is named as such."""
    store, fill = cache
    ref = fill("k", Baseplate().encode(VALUE), Json(flags=0).encode(VALUE))
    report = CachedBytes(store, legacy=Baseplate(), new=Json()).check([ref])
    assert cells(report)["sister -> legacy"] == {"miss": 1}
    assert cells(report)["sister -> new"] == {"equal": 1}


def test_miss_as_the_service_tells(cache):
    """What counts as a miss can be told; a predicate that fails is a broken comparison and nothing else."""
    store, fill = cache
    ref = fill("k", (b"{}", 0), (b"{}", 0))
    empty = CachedBytes(store, legacy=Json(), new=Json(), miss=lambda value: value == {}).check([ref])
    assert cells(empty) == all_of("miss")
    failing = CachedBytes(store, legacy=Json(), new=Json(), miss=lambda value: 1 / 0).check([ref])
    assert cells(failing) == all_of("broken")


def test_compressed(cache):
    """Compressed values are read by both, and cut ones are undecodable."""
    store, fill = cache
    big = {"body": "x" * 5000}
    legacy, new = Serde(CompressedSerde(min_compress_len=100)), Compressed(PICKLED, above=10)
    packed, flags = legacy.encode(big)
    assert zlib.decompress(packed) == pickle.dumps(big, protocol=-1)
    good = fill("good", (packed, flags), new.encode(big))
    cut = fill("cut", (packed, flags), (packed[:-5], flags))
    checked = CachedBytes(store, legacy=legacy, new=new)
    assert checked.check([good]).ok
    assert cells(checked.check([cut]))["sister -> new"] == {"undecodable": 1}


def test_other_value(cache):
    """Another value is told with its place, and rules of the comparator count."""
    store, fill = cache
    ref = fill("k", Json().encode(VALUE), Json().encode({**VALUE, "id": "7"}))
    report = CachedBytes(store, legacy=Json(), new=Json()).check([ref])
    fault = report.faults[0]
    assert (fault.path, fault.want, fault.got) == ("$.id", 7, "7")
    assert CachedBytes(store, legacy=Json(), new=Json(), compare=structural(ignore=["$.id"])).check([ref]).ok


def test_races_and_absent_keys(cache):
    """Keys of other versions are raced and never compared, and keys that a side lacks are counted."""
    store, fill = cache
    old, new = Json().encode(VALUE), Json().encode({**VALUE, "version": 4})
    refs = [fill("a", old, new), fill("b", old), fill("c", None, new), fill("d"), fill("e", (b"[]", 0), (b"[]", 0))]
    options = {"legacy": Json(), "new": Json(), "version": lambda value: value["version"]}
    report = CachedBytes(store, **options).check(refs)
    assert (report.raced, report.compared) == (1, 1)
    assert report.absent == {"sister": 1, "production": 1, "both": 1}
    assert report.ok
    assert CachedBytes(store, **options).check(refs[:4]).ok is False
    assert CachedBytes(store, **options).check([]).compared == 0
    assert "1 keys compared, 1 raced" in str(report)
    assert "absent from both: 1" in str(report)
    unreadable = fill("f", (b"{", 0), new)
    assert CachedBytes(store, **options).check([unreadable]).raced == 0


class Meanwhile:
    """A codec during whose reading something happens to the caches, once."""

    def __init__(self, happens):
        self._happens = [happens]

    def encode(self, value):
        return Json().encode(value)

    def decode(self, data, flags):
        while self._happens:
            self._happens.pop()()
        return Json().decode(data, flags)


@pytest.mark.parametrize("side", ["production", "sister"])
@pytest.mark.parametrize("new", [b'{"id": 8}', None, b"", "flags"])
def test_change_between_the_readings(cache, memcached_prefix, side, new):
    """A key that changes or vanishes while it is looked at is raced, and no fault; one at rest beside it is."""
    store, fill = cache
    moving = fill("moving", (b'{"id": 7}', 0), (b'{"id": 6}', 0))
    resting = fill("resting", (b'{"id": 7}', 0), (b'{"id": 6}', 0))
    client, key = getattr(store, side).client(), f"{memcached_prefix}moving"

    def happens():
        if new is None:
            client.delete(key)
        elif new == "flags":
            client.set(key, client.get(key), flags=5)
        else:
            client.set(key, new)

    report = CachedBytes(store, legacy=Meanwhile(happens), new=Json()).check([moving, resting])
    assert (report.raced, report.compared) == (1, 1)
    assert {fault.ref for fault in report.faults} == {resting}


def test_version_of_another_type(cache):
    """A version that is the same in another type is no race, for this is what is looked for."""
    store, fill = cache
    ref = fill("k", Json().encode({"version": 3}), Json().encode({"version": "3"}))
    report = CachedBytes(store, legacy=Json(), new=Json(), version=lambda value: value["version"]).check([ref])
    assert (report.raced, report.faults[0].path) == (0, "$.version")


def test_legacy_cannot_read_its_own(cache):
    """Where the legacy cannot read production's own bytes, nothing is said of what others read."""
    store, fill = cache
    ref = fill("k", (b"{", 0), (b"{}", 0))
    report = CachedBytes(store, legacy=Json(), new=Raw()).check([ref])
    assert cells(report) == {
        "production -> legacy": {"undecodable": 1},
        "production -> new": {"broken": 1},
        "sister -> legacy": {"broken": 1},
        "sister -> new": {"broken": 1},
    }
    assert report.faults[1].name == "nothing to compare with"


def test_report_as_json(cache):
    """As JSON there are counts and places, and no values."""
    store, fill = cache
    secret = {"secret": "tiger"}
    refs = [fill(f"k{number}", Json().encode(secret), Json().encode({"secret": "lion"})) for number in range(60)]
    report = CachedBytes(store, legacy=Json(), new=Json()).check(refs)
    assert len(report.faults) == 100
    text = report.to_json()
    found = json.loads(text)
    assert (found["compared"], found["ok"], found["cells"][2]["identical"]) == (60, False, 0)
    assert sum(found["cells"][2][name] for name in ("different", "silently wrong")) == 60
    assert found["faults"][0]["path"] == "$.secret"
    assert "tiger" not in text
    assert "lion" not in text


def test_redis_strings(redis_url):
    """Strings of Redis are read crosswise, and keys of other types are counted."""
    production = RedisStore(redis_url)
    sister = RedisStore(redis_url.replace("/15", "/14"))
    with closing(SisterStore(production=production, sister=sister, name="cache")) as store:
        store.prove()
        try:
            for each, body in ((production, b'{"a":1}'), (sister, b'{"a":1.0}')):
                each.client().set("text", body)
                each.client().hset("hash", "a", 1)
            refs = [store.key("text"), store.key("hash")]
            report = CachedBytes(store, legacy=Json(), new=Json()).check(refs)
        finally:
            sister.reset()
    assert (report.compared, report.other) == (1, 1)
    assert cells(report)["sister -> legacy"] == {"silently wrong": 1}


def test_server_that_is_down(servers):
    """A cache that cannot be reached raises, and is no verdict."""
    gone = SisterStore(production=MemcachedStore(servers[0]), sister=MemcachedStore("127.0.0.1:1"), name="cache")
    with closing(gone), pytest.raises(StoreUnavailable):
        CachedBytes(gone, legacy=Json(), new=Json()).check([gone.key("k")])


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"store": None}, "store"),
        ({"legacy": Json}, "legacy"),
        ({"new": 3}, "new"),
        ({"compare": 3}, "compare"),
        ({"miss": 3}, "miss"),
        ({"version": "v"}, "version"),
    ],
)
def test_wrong_options_of_cached_bytes(options, field):
    """A wrong option is refused when the object is built, by its name."""
    store = SisterStore(production=MemoryStore(), sister=MemoryStore(), name="cache")
    given = {"store": store, "legacy": Json(), "new": Json()} | options
    with pytest.raises(ConfigError) as caught:
        CachedBytes(given.pop("store"), **given)
    assert caught.value.field == field


# As a codec.


def reason(codec, data, flags=0):
    with pytest.raises(CodecError) as caught:
        codec.decode(data, flags)
    return caught.value.reason


def test_crosswise_reads_with_both():
    """Bytes that both read alike are read, and written as the legacy writes."""
    codec = Crosswise(PICKLED, PICKLED)
    assert codec.decode(*codec.encode(VALUE)) == VALUE
    assert codec.encode(VALUE) == PICKLED.encode(VALUE)


def test_crosswise_says_who_cannot_read():
    """Bytes that one cannot read, or reads as a miss or another value, are refused with the reader's name."""
    assert reason(Crosswise(Json(), Raw()), b"{") == "legacy cannot read"
    assert reason(Crosswise(Raw(), Json()), b"{") == "new cannot read"
    assert reason(Crosswise(Baseplate(), Json()), b"{}") == "legacy reads a miss"
    assert reason(Crosswise(Json(), Baseplate()), b"{}") == "new reads a miss"
    assert reason(Crosswise(Json(), Raw()), b"{}") == "read differently"
    assert Crosswise(Baseplate(), Baseplate()).decode(b"{", 4) is None


def test_crosswise_with_a_reader_that_exits():
    """A reader that would end the process cannot read, and ends nothing."""

    class Leaving(Baseplate):
        def decode(self, data, flags):
            raise SystemExit

    assert reason(Crosswise(Json(), Leaving()), b"{}") == "new cannot read"


def test_crosswise_with_a_program_that_failed():
    """A codec whose program failed says nothing of the bytes, and that comes through."""

    class Gone(Baseplate):
        def decode(self, data, flags):
            raise CodecUnavailable("gone")

    with pytest.raises(CodecUnavailable):
        Crosswise(Json(), Gone()).decode(b"{}", 0)


def test_crosswise_wants_codecs():
    """What is no codec is refused."""
    with pytest.raises(ConfigError) as caught:
        Crosswise(Json(), "json")
    assert caught.value.field == "new"


def test_crosswise_in_a_write_experiment(servers, memcached_prefix):
    """As the codec of both stores it has a write experiment find what the legacy could not read."""
    codec = Crosswise(PICKLED, Serde(pickle_serde))
    production, sister = (MemcachedStore(server, codec=codec) for server in servers)
    key = f"{memcached_prefix}comment"
    with closing(SisterStore(production=production, sister=sister, name="cache")) as store:
        store.prove()

        def old(body):
            data, flags = PICKLED.encode({"body": body})
            store.client().set(key, data, flags=flags)

        def new(body):
            data, flags = PICKLED.encode({"body": body})
            store.client().set(key, data[:-3] if body == "cut" else data, flags=flags)

        with Migration("comments", sinks=[]) as migration:
            write = migration.write(
                old, candidate=new, name="write", touches=lambda call: [store.key(key)], hydrate_timeout=5.0
            )
            write("fine")
            assert migration.flush(30)
            assert migration.findings() == ()
            write("cut")
            assert migration.flush(30)
            [finding] = migration.findings()
    assert (finding.store, finding.kind) == ("cache", "type")


def test_huge_values_are_cut_for_people_in_a_report(cache):
    """What a report prints of a key has a bounded length, however long its value is."""
    store, fill = cache
    item = Json().encode("x" * 900_000)
    report = CachedBytes(store, legacy=Json(), new=Raw()).check([fill("huge", item, item)])
    assert not report.ok
    assert len(str(report)) < 3000
