"""
Codecs: bytes to value and back, as one service does it in a cache or a stream.

They are strict, because they are to show what another program could not read. What cannot be read or written is a
`CodecError` whose ``reason`` is always the same word or two; its message holds no values. What `decode` raises makes a
record `Undecodable`, and what `encode` raises is raised to whoever writes. Each is loaded at first use, so that a
package that one of them needs is asked for by nobody else.

All of them read what is cut, long, deep, or made to do harm within bounds of memory, and run nothing that is in it, but
for `Serde`, which runs whatever the given object does.

    MemcachedStore("10.0.0.1:11211", codec={"comment:": Json(), "session:": Compressed(Json())})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadowmig.lazily import front_door

if TYPE_CHECKING:
    from shadowmig.wire.codecs.avro import Avro as Avro
    from shadowmig.wire.codecs.framing import Compressed as Compressed
    from shadowmig.wire.codecs.framing import Flagged as Flagged
    from shadowmig.wire.codecs.framing import OrMiss as OrMiss
    from shadowmig.wire.codecs.framing import Serde as Serde
    from shadowmig.wire.codecs.http import HttpCodec as HttpCodec
    from shadowmig.wire.codecs.json import Json as Json
    from shadowmig.wire.codecs.json import look as look
    from shadowmig.wire.codecs.msgpack import MsgPack as MsgPack
    from shadowmig.wire.codecs.pickle import Pickle as Pickle
    from shadowmig.wire.codecs.pickle import StandIn as StandIn
    from shadowmig.wire.codecs.process import ProcessCodec as ProcessCodec
    from shadowmig.wire.codecs.protobuf import Protobuf as Protobuf
    from shadowmig.wire.codecs.raw import Raw as Raw
    from shadowmig.wire.codecs.structured import Structured as Structured

_HOMES = {
    "Avro": "avro",
    "Compressed": "framing",
    "Flagged": "framing",
    "HttpCodec": "http",
    "Json": "json",
    "MsgPack": "msgpack",
    "OrMiss": "framing",
    "Pickle": "pickle",
    "ProcessCodec": "process",
    "Protobuf": "protobuf",
    "Raw": "raw",
    "Serde": "framing",
    "StandIn": "pickle",
    "Structured": "structured",
    "look": "json",
}

__all__ = [
    "Avro",
    "Compressed",
    "Flagged",
    "HttpCodec",
    "Json",
    "MsgPack",
    "OrMiss",
    "Pickle",
    "ProcessCodec",
    "Protobuf",
    "Raw",
    "Serde",
    "StandIn",
    "Structured",
    "look",
]

__getattr__, __dir__ = front_door(globals(), _HOMES)
