"""
Values of Postgres to Python and back, both ways as the server's own text.

A value comes as psycopg gives it, and as text where psycopg knows no type for it or cannot hold it (``infinity``, the
year 10000, a composite). Two things differ from psycopg, because comparing needs them told apart: a JSON ``null`` is
`JSON_NULL`, and an interval with months or years is text, not a number of days.
"""

from __future__ import annotations

import enum
import functools
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import psycopg
from attrs import frozen
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.pq import Format
from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from psycopg.abc import Buffer, Loader
    from psycopg.abc import Transformer as AnyTransformer
    from psycopg.pq.abc import PGresult


class JsonNull(enum.Enum):
    """The type of `JSON_NULL`."""

    JSON_NULL = "null"

    def __repr__(self) -> str:
        return "JSON_NULL"

    def __bool__(self) -> bool:
        return False


JSON_NULL: Final = JsonNull.JSON_NULL
"""The value of a ``json`` or ``jsonb`` column that holds ``null``, which is not the NULL of SQL."""


@frozen
class _Context:
    """What psycopg's adapters ask for; without a connection they take UTF-8, UTC and ISO dates, as we set them."""

    adapters: AdaptersMap
    connection: None = None


@functools.cache
def _context() -> _Context:
    # Copied at first use, so that what the service registers for all its connections holds for ours too.
    adapters = AdaptersMap(psycopg.adapters)
    for name, wrap in (("json", _json), ("jsonb", _json), ("interval", _interval)):
        oid = psycopg.adapters.types[name].oid
        base = adapters.get_loader(oid, Format.TEXT)
        assert base is not None
        adapters.register_loader(oid, wrap(base))
    return _Context(adapters)


class _Wrapped:
    """A loader around another one; a subclass it cannot be, for psycopg's fast ones allow none."""

    format = Format.TEXT
    base: type[Loader]

    def __init__(self, oid: int, context: Any = None) -> None:
        self._load = self.base(oid, context).load


def _json(loader: type[Loader]) -> type[Loader]:
    class JsonLoader(_Wrapped):
        base = loader

        def load(self, data: Buffer) -> Any:
            return JSON_NULL if bytes(data).strip() == b"null" else self._load(data)

    return JsonLoader


def _interval(loader: type[Loader]) -> type[Loader]:
    class IntervalLoader(_Wrapped):
        base = loader

        def load(self, data: Buffer) -> Any:
            text = bytes(data)
            return text.decode() if b"mon" in text or b"year" in text else self._load(data)

    return IntervalLoader


class _Local(threading.local):
    """What psycopg looks up for types, remembered by each thread, for it is most of the cost of a small read."""

    adapter: AnyTransformer | None = None


_LOCAL: Final = _Local()


def _adapter() -> AnyTransformer:
    if _LOCAL.adapter is None:
        _LOCAL.adapter = Transformer(_context())
    return _LOCAL.adapter


def load(result: PGresult) -> Sequence[tuple[Any, ...]]:
    """Give the rows of a result."""
    adapter = _adapter()
    adapter.set_pgresult(result)
    try:
        return adapter.load_rows(0, result.ntuples, tuple)
    except Exception:  # noqa: BLE001 - the service may have registered a loader that raises anything
        loaders = [adapter.get_loader(result.ftype(i), Format.TEXT) for i in range(result.nfields)]
        return [
            tuple(_one(loader, result.get_value(row, i)) for i, loader in enumerate(loaders))
            for row in range(result.ntuples)
        ]
    finally:
        adapter.set_pgresult(None)


def _one(loader: Loader, data: bytes | None) -> Any:
    if data is None:
        return None
    try:
        return loader.load(data)
    except Exception:  # noqa: BLE001 - it is the same loader again
        return data.decode(errors="backslashreplace")


def text_of(value: Any) -> bytes:
    """
    Give the server's text of a value other than ``None``.

    Raises:
        psycopg.Error: Its type is not known, or it cannot be text.
        ValueError: It cannot be text in UTF-8.
    """
    kind = type(value)
    if kind is int:
        return b"%d" % value
    if kind is bytes:
        return b"\\x%b" % value.hex().encode()
    if kind is list:
        return array_of(value)
    data = _adapter().get_dumper(value, PyFormat.TEXT).dump(value)
    if data is None:
        raise psycopg.DataError("this value means NULL")
    return bytes(data)


def json_of(value: Any) -> bytes:
    """Give the text of a JSON document."""
    return b"null" if value is JSON_NULL else text_of(Jsonb(value))


def array_of(values: Iterable[Any], *, json: bool = False, delimiter: bytes = b",") -> bytes:
    """Give the text of an array; lists in it are dimensions, or documents if it is one of JSON."""
    return b"{" + delimiter.join([_element(value, json, delimiter) for value in values]) + b"}"


def _element(value: Any, json: bool, delimiter: bytes) -> bytes:
    if value is None:
        return b"NULL"
    if type(value) is list and not json:
        return array_of(value, delimiter=delimiter)
    return quoted(json_of(value) if json else text_of(value))


def quoted(text: bytes) -> bytes:
    """Give the text of an element of an array."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
