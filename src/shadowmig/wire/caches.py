"""
Bytes in caches: can the legacy read what the candidate cached, and the candidate what the legacy did?

**When:** old and new servers share a cache, or will during the rollout.
**Example:** ``CachedBytes(cache, legacy=Serde(pickle_serde), new=Json()).check([cache.key("comment:7")])``
**Units:** none.
**When a server is down:** `StoreUnavailable`.

`CachedBytes` looks at keys of a cache that both sides have filled, and reads the bytes of each with both codecs.
`Crosswise` does the same live: as the codec of both stores it reads every record twice, and a write experiment finds
what one of them could not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from shadowmig.compare import structural
from shadowmig.errors import CodecError, CodecUnavailable, ConfigError
from shadowmig.given import differences, function, is_codec
from shadowmig.model import Record, Ref
from shadowmig.protocols import Codec, Comparator
from shadowmig.stores.sister import SisterStore
from shadowmig.wire._cached_report import (
    READERS,
    SIDES,
    CacheFault,
    CacheReport,
    Pair,
    Tally,
    Verdicts,
    is_fault,
)
from shadowmig.wire.roundtrip._judge import Judge, Remark
from shadowmig.wire.roundtrip._model import Outcome
from shadowmig.wire.roundtrip._sides import Failed, Side
from shadowmig.wire.values import plain

__all__ = ["CacheFault", "CacheReport", "CachedBytes", "Crosswise"]


def is_miss(value: Any) -> bool:
    """Take ``None`` for a miss, as pymemcache's ``pickle_serde`` reads what is broken, and most services go on."""
    return value is None


class CachedBytes:
    """
    Reads the bytes of both sides with both codecs.

    What the legacy reads in production's bytes is what all are to read; where it reads nothing there itself, the other
    readings can only be told to be undecodable or a miss. Keys that hold strings or values of Memcached are compared.
    A key with a fault is read again, and counts as raced if it has changed on either side.

    Args:
        store: The cache.
        legacy: How the legacy turns values into bytes.
        new: How the candidate does.
        compare: Compares what is read, in plain form.
        miss: Tells whether the service takes what a codec gives for a miss; by default it does so with ``None``.
        version: Takes the version out of what was read, where the store itself tells none. Without a version nobody
            knows whether the candidate's write is still to come, so check keys that are at rest.

    Raises:
        ConfigError: An option is wrong.
    """

    def __init__(
        self,
        store: SisterStore,
        *,
        legacy: Codec,
        new: Codec,
        compare: Comparator | None = None,
        miss: Callable[[Any], bool] = is_miss,
        version: Callable[[Any], Any] | None = None,
    ) -> None:
        if not isinstance(store, SisterStore):
            raise ConfigError(f"store is {store!r}.", remedy="Give a SisterStore.", field="store", value=store)
        _check(legacy=legacy, new=new)
        for name, given in (("compare", compare), ("miss", miss), ("version", version)):
            function(given, name)
        self._store = store
        self._readers = tuple(Side(name, codec, "decode") for name, codec in (("legacy", legacy), ("new", new)))
        self._judge = Judge(compare or structural(), plain, miss)
        self._miss = miss
        self._version = version

    def check(self, refs: Sequence[Ref]) -> CacheReport:
        """
        Read keys, each side's in one round trip, and judge them; those with faults are read twice.

        Args:
            refs: The keys, made by ``store.key``.

        Raises:
            ProductionRefused: The checked side asks.
            StoreUnavailable: A store could not be reached.
            StoreError: One refused, or a ref is not of this store.
        """
        tally = Tally()
        pairs = [pair for pair in self._read(refs) if tally.has_bytes(pair)]
        items = [[_item(pair[number]) for pair in pairs] for number in range(2)]
        read = {
            (side, reader.name): list(reader.run(items[number]))
            for number, side in enumerate(SIDES)
            for reader in self._readers
        }
        found: list[tuple[Pair, Verdicts]] = []
        for number, pair in enumerate(pairs):
            results = {place: each[number] for place, each in read.items()}
            if self._raced(pair, results):
                tally.raced += 1
            else:
                found.append((pair, self._judged(pair, results)))
        suspects = [pair[0].ref for pair, verdicts in found if is_fault(verdicts)]
        again = {pair[0].ref: pair for pair in self._read(suspects)} if suspects else {}
        for pair, verdicts in found:
            if _state(again.get(pair[0].ref, pair)) != _state(pair):
                tally.raced += 1
            else:
                tally.count(pair, verdicts)
        return tally.report()

    def _read(self, refs: Sequence[Ref]) -> Iterator[Pair]:
        return zip(self._store.read_production(refs).records, self._store.read_sister(refs).records, strict=True)

    def _judged(self, pair: Pair, read: Mapping[tuple[str, str], Any]) -> Verdicts:
        first = read["production", "legacy"]
        want = self._judge.want(first)
        known = not isinstance(first, Failed) and not isinstance(want, Failed) and not self._missed(first)
        items = dict(zip(SIDES, map(_item, pair), strict=True))
        verdicts: Verdicts = {}
        for (side, reader), result in read.items():
            verdict = self._judge.verdict(want, result, items[side], items["production"])
            if not known and verdict[0] not in _NOTHING:
                remark = Remark("nothing to compare with", Outcome.BROKEN, error="the legacy cannot read production")
                verdict = Outcome.BROKEN, (remark,)
            verdicts[side, reader] = verdict
        return verdicts

    def _missed(self, value: Any) -> bool:
        try:
            return bool(self._miss(value))
        except Exception:  # noqa: BLE001 - the user's function; the judge meets it again and says so
            return False

    def _raced(self, pair: Pair, read: Mapping[tuple[str, str], Any]) -> bool:
        values = read["production", "legacy"], read["sister", "new"]
        control, candidate = (
            record.version if record.version is not None else self._version_of(value)
            for record, value in zip(pair, values, strict=True)
        )
        if control is None or candidate is None or control == candidate:
            return False
        return str(control) != str(candidate)  # 3 and "3" are no race but what is looked for

    def _version_of(self, value: Any) -> Any:
        if self._version is None or isinstance(value, Failed):
            return None
        try:
            return self._version(value)
        except Exception:  # noqa: BLE001 - a value of another shape has no version, which is no error
            return None


_NOTHING: Final = frozenset({Outcome.UNDECODABLE, Outcome.MISS, Outcome.BROKEN})


def _item(record: Record) -> tuple[bytes, int]:
    return record.raw or b"", record.meta.get("flags", 0)


def _state(pair: Pair) -> list[tuple[bool, tuple[bytes, int]]]:
    return [(record.exists, _item(record)) for record in pair]


@frozen
class Crosswise:
    """
    A codec that reads all bytes with two others, and refuses what they do not read alike.

    As ``codec=`` of production's store and of the sister's it has write experiments check both directions: a record
    that one of the two cannot read is `Undecodable`, and so a difference, with the reader's name.

    Args:
        legacy: How the legacy turns values into bytes; what it reads is the value, and it writes.
        new: How the candidate does.
        compare: Compares what the two read, in plain form.
        miss: Tells whether the service takes what a codec gives for a miss; by default it does so with ``None``.

    Raises:
        ConfigError: An option is wrong.
    """

    legacy: Codec = field()
    new: Codec = field()
    compare: Comparator = field(factory=structural, kw_only=True)
    miss: Callable[[Any], bool] = field(default=is_miss, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check(legacy=self.legacy, new=self.new)
        function(self.compare, "compare")
        function(self.miss, "miss")

    def encode(self, value: Any) -> tuple[bytes, int]:
        """Write as the legacy does. Raises what it raises."""
        return self.legacy.encode(value)

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read with both.

        Raises:
            CodecError: One cannot read it, or takes it for a miss and the other does not, or they read other values.
            CodecUnavailable: A codec's program failed.
            Exception: Whatever ``compare`` or ``miss`` raised.
        """
        values = [_read(getattr(self, name), name, data, flags) for name in READERS]
        misses = [bool(self.miss(value)) for value in values]
        if misses[0] is not misses[1]:
            name = READERS[misses.index(True)]
            raise CodecError(f"{name} reads these bytes as a miss.", reason=f"{name} reads a miss")
        found = differences(self.compare(control=plain(values[0]), candidate=plain(values[1])))
        if found:
            raise CodecError(f"legacy and new read other values at {found[0].path}.", reason="read differently")
        return values[0]


def _read(codec: Codec, name: str, data: bytes, flags: int) -> Any:
    try:
        return codec.decode(data, flags)
    except CodecUnavailable:
        raise
    except (Exception, SystemExit) as error:
        why = error.reason if isinstance(error, CodecError) else type(error).__name__
        raise CodecError(f"{name} cannot read these bytes: {why}.", reason=f"{name} cannot read") from error


def _check(**codecs: object) -> None:
    for name, codec in codecs.items():
        if not is_codec(codec):
            raise ConfigError(
                f"{name} is {codec!r}.",
                remedy="Give a codec, such as shadowmig.wire.Json().",
                field=name,
                value=codec,
            )
