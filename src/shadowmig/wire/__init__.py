"""
What crosses from one language to another: codecs, round trips, events and their consumers, each loaded at first use.

A codec is any object of the shape of `shadowmig.protocols.Codec`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadowmig.lazily import front_door

if TYPE_CHECKING:
    from shadowmig.wire.caches import CachedBytes as CachedBytes
    from shadowmig.wire.codecs import Avro as Avro
    from shadowmig.wire.codecs import Compressed as Compressed
    from shadowmig.wire.codecs import Flagged as Flagged
    from shadowmig.wire.codecs import HttpCodec as HttpCodec
    from shadowmig.wire.codecs import Json as Json
    from shadowmig.wire.codecs import MsgPack as MsgPack
    from shadowmig.wire.codecs import OrMiss as OrMiss
    from shadowmig.wire.codecs import Pickle as Pickle
    from shadowmig.wire.codecs import ProcessCodec as ProcessCodec
    from shadowmig.wire.codecs import Protobuf as Protobuf
    from shadowmig.wire.codecs import Raw as Raw
    from shadowmig.wire.codecs import Serde as Serde
    from shadowmig.wire.codecs import StandIn as StandIn
    from shadowmig.wire.codecs import Structured as Structured
    from shadowmig.wire.codecs import look as look
    from shadowmig.wire.consumers import Consumer as Consumer
    from shadowmig.wire.consumers import ConsumerReport as ConsumerReport
    from shadowmig.wire.effects import Effects as Effects
    from shadowmig.wire.events import Completeness as Completeness
    from shadowmig.wire.events import Event as Event
    from shadowmig.wire.events import EventReport as EventReport
    from shadowmig.wire.events import EventSource as EventSource
    from shadowmig.wire.events import EventStream as EventStream
    from shadowmig.wire.events import EventTuning as EventTuning
    from shadowmig.wire.events import MemoryEvents as MemoryEvents
    from shadowmig.wire.events import RedisEvents as RedisEvents
    from shadowmig.wire.roundtrip import RoundTrip as RoundTrip
    from shadowmig.wire.roundtrip import RoundTripReport as RoundTripReport
    from shadowmig.wire.strategies import values_of as values_of
    from shadowmig.wire.values import Instant as Instant
    from shadowmig.wire.values import plain as plain

_HOMES = {
    "Avro": "codecs",
    "CachedBytes": "caches",
    "Completeness": "events",
    "Compressed": "codecs",
    "Consumer": "consumers",
    "ConsumerReport": "consumers",
    "Effects": "effects",
    "Event": "events",
    "EventReport": "events",
    "EventSource": "events",
    "EventStream": "events",
    "EventTuning": "events",
    "Flagged": "codecs",
    "HttpCodec": "codecs",
    "Instant": "values",
    "Json": "codecs",
    "MemoryEvents": "events",
    "MsgPack": "codecs",
    "OrMiss": "codecs",
    "Pickle": "codecs",
    "ProcessCodec": "codecs",
    "Protobuf": "codecs",
    "Raw": "codecs",
    "RedisEvents": "events",
    "RoundTrip": "roundtrip",
    "RoundTripReport": "roundtrip",
    "Serde": "codecs",
    "StandIn": "codecs",
    "Structured": "codecs",
    "look": "codecs",
    "plain": "values",
    "values_of": "strategies",
}

__all__ = [
    "Avro",
    "CachedBytes",
    "Completeness",
    "Compressed",
    "Consumer",
    "ConsumerReport",
    "Effects",
    "Event",
    "EventReport",
    "EventSource",
    "EventStream",
    "EventTuning",
    "Flagged",
    "HttpCodec",
    "Instant",
    "Json",
    "MemoryEvents",
    "MsgPack",
    "OrMiss",
    "Pickle",
    "ProcessCodec",
    "Protobuf",
    "Raw",
    "RedisEvents",
    "RoundTrip",
    "RoundTripReport",
    "Serde",
    "StandIn",
    "Structured",
    "look",
    "plain",
    "values_of",
]

__getattr__, __dir__ = front_door(globals(), _HOMES)
