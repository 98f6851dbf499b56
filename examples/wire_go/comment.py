"""
The legacy service's comment, and how it writes and reads it: JSON, MessagePack and protobuf as an old Python service
does it, and the pickles of its caches.

The types and validators below are the domain of the model: what the service has ever stored. It excludes what Go cannot
hold at all, and the service never had: ints beyond 64 bits, NaN and infinities, text with lone surrogates, and other
zones than UTC.
"""

from __future__ import annotations

import base64
import json
import pickle
import sys
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import cattrs
from attrs import define, field
from attrs.validators import deep_mapping, ge, in_, le, not_, optional
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

FIELDS = (
    "id parent_id body author score ups edited created tags meta gildings distinguished children blob counts ratio"
    " flair stickied send_replies rest"
).split()


@define(frozen=True)
class Between:
    """Bounds of a number, for annotations."""

    ge: float
    le: float


INT64 = Between(-(2**63), 2**63 - 1)
Int: TypeAlias = Annotated[int, INT64]
Float: TypeAlias = Annotated[float, Between(-sys.float_info.max, sys.float_info.max)]
Scalar: TypeAlias = bool | Int | Float | str | None
Document: TypeAlias = dict[str, Scalar | list[Scalar] | dict[str, Scalar]]

_int64 = [ge(INT64.ge), le(INT64.le)]


def _in_utc(value: Any) -> Any:
    """Bring a time into UTC; the years 1 and 9999 have hours for which there is none."""
    try:
        return value.astimezone(UTC).replace(fold=0) if getattr(value, "tzinfo", None) else value
    except OverflowError as error:
        raise ValueError("there is no such time in UTC") from error


class Distinguished(Enum):
    """Who speaks."""

    MODERATOR = "moderator"
    ADMIN = "admin"
    SPECIAL = "special"


@define
class Flair:
    """What is shown beside an author's name."""

    text: str
    css: str | None = None


@define
class Comment:
    """
    A comment.

    Attributes:
        edited: ``False``, or when.
        meta: Whatever clients keep with it.
        gildings: Awards by their name.
        blob: A thumbnail.
        counts: Reports by the number of their reason.
        rest: Fields that this version does not know: they are kept, and written back.
    """

    id: int = field(validator=_int64)
    parent_id: int | None = field(validator=optional(_int64))
    body: str
    author: str
    score: int = field(validator=_int64)
    created: datetime = field(converter=_in_utc)
    tags: list[str]
    gildings: dict[str, Int]
    blob: bytes
    counts: dict[Int, Int]
    ratio: Float
    meta: Document = field(factory=dict)
    ups: int = field(default=1, validator=_int64)
    edited: Literal[False] | datetime = field(default=False, converter=_in_utc)
    distinguished: Distinguished | None = None
    children: list[Comment] = field(factory=list)
    flair: Flair | None = None
    stickied: bool = False
    send_replies: bool = True
    rest: Document = field(factory=dict, validator=deep_mapping(not_(in_(FIELDS))))


def _converter(*, text_only: bool) -> cattrs.Converter:
    made = cattrs.Converter(detailed_validation=False)
    # In MessagePack these are as they are.
    if text_only:
        made.register_unstructure_hook(datetime, datetime.isoformat)
        made.register_unstructure_hook(bytes, lambda value: base64.urlsafe_b64encode(value).decode())
        made.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
        made.register_structure_hook(bytes, lambda value, _: base64.urlsafe_b64decode(value))
    else:
        made.register_unstructure_hook(datetime, lambda value: value)
        made.register_structure_hook(datetime, lambda value, _: value)
        made.register_structure_hook(bytes, lambda value, _: value)
    as_it_is = override(unstruct_hook=lambda value: value, struct_hook=lambda value, _: value)
    special = {
        "meta": as_it_is,
        "rest": as_it_is,
        "edited": override(
            unstruct_hook=lambda value: value and made.unstructure(value),
            struct_hook=lambda value, _: value if value is False else made.structure(value, datetime),
        ),
        "children": override(
            unstruct_hook=lambda value: [flatten(child) for child in value],
            struct_hook=lambda value, _: [gather(child, Comment) for child in value],
        ),
    }
    write = make_dict_unstructure_fn(Comment, made, **special)
    read = make_dict_structure_fn(Comment, made, _cattrs_detailed_validation=False, **special)

    def flatten(value: Comment) -> dict[str, Any]:
        document = write(value)
        rest = document.pop("rest")
        return {**document, **rest}

    def gather(document: dict[str, Any], kind: type[Comment]) -> Comment:
        rest = {name: each for name, each in document.items() if name not in FIELDS}
        return read({**document, "rest": rest}, kind)

    made.register_unstructure_hook(Comment, flatten)
    made.register_structure_hook(Comment, gather)
    return made


class LegacyJson:
    """JSON with times as ISO 8601 text, and bytes as base64 in the alphabet of URLs."""

    def __init__(self) -> None:
        self._converter = _converter(text_only=True)

    def encode(self, value: Comment) -> tuple[bytes, int]:
        """Write a comment."""
        return json.dumps(self._converter.unstructure(value)).encode(), 0

    def decode(self, data: bytes, flags: int) -> Comment:
        """Read a comment."""
        return self._converter.structure(json.loads(data), Comment)


class LegacyDocument:
    """JSON of no known type."""

    def encode(self, value: Any) -> tuple[bytes, int]:
        """Write a document."""
        return json.dumps(value).encode(), 0

    def decode(self, data: bytes, flags: int) -> Any:
        """Read a document."""
        return json.loads(data)


class LegacyMsgPack:
    """MessagePack with its own timestamps."""

    def __init__(self) -> None:
        self._converter = _converter(text_only=False)

    def encode(self, value: Comment) -> tuple[bytes, int]:
        """Write a comment."""
        import msgpack

        return msgpack.packb(self._converter.unstructure(value), datetime=True), 0

    def decode(self, data: bytes, flags: int) -> Comment:
        """Read a comment."""
        import msgpack

        return self._converter.structure(msgpack.unpackb(data, timestamp=3, strict_map_key=False), Comment)


class LegacyPickle:
    """What was in the caches before: pickles, marked by the flag of pymemcache."""

    def encode(self, value: Comment) -> tuple[bytes, int]:
        """Write a comment."""
        return pickle.dumps(value, protocol=2), 1

    def decode(self, data: bytes, flags: int) -> Comment:
        """Read a comment. It is safe only for bytes of one's own."""
        made = pickle.loads(data)  # noqa: S301 - this is the legacy service, which did just that
        if not isinstance(made, Comment):
            raise TypeError("this is no comment")
        return made


class LegacyProtobuf:
    """Protobuf by the messages of ``pb/comment.proto``."""

    def encode(self, value: Comment) -> tuple[bytes, int]:
        """Write a comment."""
        return _fill(message_class()(), value).SerializeToString(), 0

    def decode(self, data: bytes, flags: int) -> Comment:
        """Read a comment."""
        return _read(message_class().FromString(data))


@cache
def message_class() -> Any:
    """Give the class of messages, made of the descriptors that protoc has left."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    files = descriptor_pb2.FileDescriptorSet.FromString((Path(__file__).parent / "pb" / "comment.binpb").read_bytes())
    for file in files.file:
        if file.name == "comment.proto":
            pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("wirego.Comment"))


_DISTINCTIONS = (None, *Distinguished)


def _fill(message: Any, value: Comment) -> Any:
    for name in ("id", "body", "author", "score", "ups", "blob", "ratio", "stickied", "send_replies"):
        setattr(message, name, getattr(value, name))
    if value.parent_id is not None:
        message.parent_id = value.parent_id
    if value.edited is not False:
        message.edited.FromDatetime(value.edited)
    message.created.FromDatetime(value.created)
    message.tags.extend(value.tags)
    message.meta, message.rest = json.dumps(value.meta), json.dumps(value.rest)
    message.gildings.update(value.gildings)
    message.counts.update(value.counts)
    message.distinguished = _DISTINCTIONS.index(value.distinguished)
    for child in value.children:
        _fill(message.children.add(), child)
    if value.flair is not None:
        message.flair.text = value.flair.text
        if value.flair.css is not None:
            message.flair.css = value.flair.css
    return message


def _read(message: Any) -> Comment:
    flair = message.flair
    return Comment(
        id=message.id,
        parent_id=message.parent_id if message.HasField("parent_id") else None,
        body=message.body,
        author=message.author,
        score=message.score,
        ups=message.ups,
        edited=message.edited.ToDatetime(UTC) if message.HasField("edited") else False,
        created=message.created.ToDatetime(UTC),
        tags=list(message.tags),
        meta=json.loads(message.meta),
        gildings=dict(message.gildings),
        distinguished=_DISTINCTIONS[message.distinguished],
        children=[_read(child) for child in message.children],
        blob=message.blob,
        counts=dict(message.counts),
        ratio=message.ratio,
        flair=Flair(flair.text, flair.css if flair.HasField("css") else None) if message.HasField("flair") else None,
        stickied=message.stickied,
        send_replies=message.send_replies if message.HasField("send_replies") else True,
        rest=json.loads(message.rest) if message.rest else {},
    )
