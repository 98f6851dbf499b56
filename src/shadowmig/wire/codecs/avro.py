"""`Avro`: one datum without its schema, as events carry it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any, Final

from attrs import field, frozen

from shadowmig.errors import CodecError, ConfigError
from shadowmig.wire.codecs._avro_same import check_exponents, is_same
from shadowmig.wire.codecs._avro_scan import DEEPEST, Scan
from shadowmig.wire.codecs._flags import GROWTH, LIMIT, check_flags, check_limit, check_size, too_deep
from shadowmig.wire.codecs._nesting import check_nesting

try:
    from fastavro import parse_schema, schemaless_reader, schemaless_writer
    from fastavro.read import SchemaResolutionError
    from fastavro.schema import fingerprint, to_parsing_canonical_form
    from fastavro.validation import ValidationError, validate
except ImportError as missing:
    raise ConfigError(
        "Avro needs the package fastavro.", remedy="Install it with: pip install 'shadowmig[avro]'.", field="codec"
    ) from missing


@frozen
class Avro:
    """
    One datum of Avro in binary, by its schema.

    Logical types are Python's own: ``timestamp-micros`` a `datetime` in UTC, ``date`` a date, ``decimal`` a `Decimal`,
    ``uuid`` a `UUID`. A whole number given for a ``float`` or ``double`` comes back as a float, and a ``float`` is
    rounded to its 32 bits. Of a union, the first type that fits is written; a dict with the key ``"-type"`` names its
    record.

    Args:
        schema: The schema that is written and was written: a dict, a list, a name, or the text of a schema file.
        reader_schema: Another one that is read, by the rules of Avro for resolving them.
        single_object: Whether the bytes begin with the mark of single-object encoding and the schema's fingerprint.
        schema_id: The id of the schema in a registry of Confluent, if the bytes begin with it.
        flags: Client flags to write; any are read.
        limit: The most bytes that are read. What they make may take 32 times as much memory.

    Raises:
        ConfigError: An option is wrong, or the package fastavro is not there.
    """

    schema: Any = field()
    reader_schema: Any = field(default=None, kw_only=True)
    single_object: bool = field(default=False, kw_only=True)
    schema_id: int | None = field(default=None, kw_only=True)
    flags: int = field(default=0, kw_only=True, validator=check_flags)
    limit: int = field(default=LIMIT, kw_only=True, validator=check_limit)
    _named: dict[str, Any] = field(init=False, repr=False, eq=False)
    _parsed: Any = field(init=False, repr=False, eq=False)
    _resolved: Any = field(init=False, repr=False, eq=False)
    _header: bytes = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        for name, good, remedy in (
            ("single_object", isinstance(self.single_object, bool), "Use True or False."),
            (
                "schema_id",
                self.schema_id is None or (type(self.schema_id) is int and 0 <= self.schema_id < 2**32),
                "Use an id of 32 bits.",
            ),
            ("schema_id", self.schema_id is None or not self.single_object, "Use it without single_object."),
        ):
            if not good:
                value = getattr(self, name)
                raise ConfigError(f"{name} is {value!r}.", remedy=remedy, field=name, value=value)
        named: dict[str, Any] = {}
        parsed = _parse(self.schema, "schema", named)
        resolved = None if self.reader_schema is None else _parse(self.reader_schema, "reader_schema", {})
        header = b""
        if self.single_object:
            header = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
        elif self.schema_id is not None:
            header = b"\0" + self.schema_id.to_bytes(4, "big")
        for name, value in (("_named", named), ("_parsed", parsed), ("_resolved", resolved), ("_header", header)):
            object.__setattr__(self, name, value)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Write one datum.

        Raises:
            CodecError: The value is not of the schema, has a field that the schema does not have, or something that
                the schema would change, such as microseconds for ``timestamp-millis`` (``not the schema``); it has a
                surrogate alone (``lone surrogate``), is nested more than 200 deep or holds itself (``too deep``,
                ``holds itself``), or `decode` would refuse it.
        """
        check_nesting(value, deepest=DEEPEST)
        check_exponents(value)
        out = BytesIO()
        try:
            validate(value, self._parsed, disable_tuple_notation=True)  # type: ignore[call-arg]  # not in its stub
            schemaless_writer(out, self._parsed, value, strict_allow_default=True, disable_tuple_notation=True)
        except UnicodeEncodeError as error:
            raise CodecError("A text has a surrogate alone.", reason="lone surrogate") from error
        except ValidationError as error:
            raise CodecError(f"The value is not of the schema{_where(error)}.", reason="not the schema") from error
        except Exception as error:
            raise CodecError("The value is not of the schema.", reason="not the schema") from error
        data = self._header + out.getvalue()
        # What a schema cannot hold, as parts of a millisecond, is cut off without a word.
        if not self._holds(data, value):
            raise CodecError("The schema cannot hold all of the value.", reason="not the schema")
        return data, self.flags

    def _holds(self, data: bytes, value: Any) -> bool:
        try:
            return is_same(value, self._read(data, None))
        except CodecError as error:
            if error.reason == "out of range":
                return False
            raise

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read one datum.

        Raises:
            CodecError: It is longer than ``limit`` or makes too much of its bytes (``too large``), begins with the mark
                of another schema (``another schema``), is cut (``cut``), followed by something (``something
                follows``), not of the schema (``not the schema``, ``number too large``, ``not UTF-8``), nested more
                than 200 deep (``too deep``), cannot be resolved to the reader's schema (``not the reader's schema``),
                or has a moment or number that Python does not have (``out of range``).
        """
        return self._read(data, self._resolved)

    def _read(self, data: bytes, resolved: Any) -> Any:
        check_size(data, self.limit)
        if not data.startswith(self._header):
            raise CodecError("The bytes begin with the mark of another schema, or none.", reason="another schema")
        data = data[len(self._header) :]
        try:
            Scan(data, self._named, self.limit * GROWTH).whole(self._parsed)
            return schemaless_reader(BytesIO(data), self._parsed, resolved)
        except CodecError:
            raise
        except SchemaResolutionError as error:
            raise CodecError("The datum does not fit the reader's schema.", reason="not the reader's schema") from error
        except RecursionError as error:
            raise too_deep() from error
        except Exception as error:
            raise CodecError("A value is out of the range of its type.", reason="out of range") from error


def _parse(schema: Any, name: str, named: dict[str, Any]) -> Any:
    try:
        if isinstance(schema, str) and schema.lstrip()[:1] in ("{", "[", '"'):
            schema = json.loads(schema)
        return parse_schema(schema, named)
    except Exception as error:
        raise ConfigError(
            f"{name} is no schema: {error}.", remedy="Give the schema as dict, or its text.", field=name, value=schema
        ) from error


def _where(error: ValidationError) -> str:
    # Its own text shows the value.
    fields: Iterable[str] = dict.fromkeys(str(one.field) for one in error.errors if getattr(one, "field", ""))
    shown = list(fields)[:_SHOWN]
    return f" at {', '.join(shown)}" if shown else ""


_SHOWN: Final = 5
