"""
What ``shadowmig roundtrip`` runs: a round trip that is written down in a TOML file, or made by Python code.

    [codecs.legacy]                       # writes and reads
    codec = "json"
    model = "comments.models:Comment"

    [codecs.new]
    process = ["./codec", "json"]

    [values]
    model = "comments.models:Comment"
    count = 10000

Danger: a spec names code, which is imported and run.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from shadowmig.errors import ConfigError, ShadowmigError
from shadowmig.wire.roundtrip import RoundTrip

_NAMED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_TABLES: Final = ("codecs", "writers", "readers", "values", "compare")
_OPTIONS: Final = ("baseline", "accept", "stable", "same_bytes")
_KINDS: Final = ("codec", "process", "http", "python")
_SOURCES: Final = ("model", "schema", "recorded", "python")
_CODECS: Final = {
    "avro": "Avro",
    "compressed": "Compressed",
    "flagged": "Flagged",
    "json": "Json",
    "msgpack": "MsgPack",
    "ormiss": "OrMiss",
    "pickle": "Pickle",
    "protobuf": "Protobuf",
    "raw": "Raw",
    "serde": "Serde",
}


@frozen(eq=False)
class Spec:
    """
    A round trip and what it is to check.

    Attributes:
        trip: The matrix.
        values: What its `check` takes.
        count: The same.
    """

    trip: RoundTrip
    values: Any = None
    count: int | None = None
    _owned: contextlib.ExitStack = field(factory=contextlib.ExitStack, repr=False)

    def close(self) -> None:
        """End the programs and connections of the codecs that the spec made."""
        self._owned.close()


def load(spec: str) -> Spec:
    """
    Read a spec.

    Args:
        spec: The path of a TOML file, what is relative in it being beside it; or ``package.module:object``, the object
            being a `RoundTrip` with ``values=``, or a function that gives one. Modules are looked for beside the file,
            or in the current folder, first.

    Raises:
        ConfigError: It cannot be read, or something in it is wrong; the message names the field.
    """
    path = Path(spec)
    if path.suffix == ".toml" or path.is_file():
        return _File(path).spec()
    if not _NAMED.fullmatch(spec):
        raise _wrong("spec", f"{spec!r} is no file", "Give a TOML file, or package.module:object.")
    _reach(Path.cwd())
    found = _object("spec", spec)
    if callable(found) and not isinstance(found, RoundTrip):
        found = _call("spec", found, {})
    if not isinstance(found, RoundTrip):
        raise _wrong("spec", f"{spec} is a {type(found).__name__}", "Name a RoundTrip, or a function that gives one.")
    if found.values is None:
        raise _wrong("spec", f"{spec} has no values", "Give it values=.")
    return Spec(found)


def _wrong(where: str, what: str, remedy: str) -> ConfigError:
    return ConfigError(f"{where}: {what}.", remedy=remedy, field=where)


def _reach(folder: Path) -> None:
    """Have modules of a folder found, as Python does for a script; they may be imported late, so it stays so."""
    text = str(folder.resolve())
    if text not in sys.path:
        sys.path.insert(0, text)


def _object(where: str, name: Any) -> Any:
    if not isinstance(name, str) or not _NAMED.fullmatch(name):
        raise _wrong(where, f"{name!r} names nothing", "Write package.module:object.")
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # a script may exit when it is imported
        told = f"{name} cannot be imported: {type(error).__name__}: {error}"
        raise _wrong(where, told, "Check the name, and that the module is beside the spec or installed.") from error
    return found


def _call(where: str, make: Any, options: Mapping[str, Any]) -> Any:
    try:
        return make(**options)
    except ShadowmigError as error:
        raise _wrong(where, error.message.rstrip("."), error.remedy or "Check the options.") from error
    except (Exception, SystemExit) as error:
        raise _wrong(where, f"{type(error).__name__}: {error}", "Check the options.") from error


class _File:
    """One TOML file while it is read."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.owned = contextlib.ExitStack()
        try:
            with path.open("rb") as file:
                self.tables = tomllib.load(file)
        except (OSError, ValueError) as error:
            raise _wrong("spec", f"{path} cannot be read: {error}", "Give a TOML file.") from error
        _reach(self.folder)

    def spec(self) -> Spec:
        try:
            return self._spec()
        except BaseException:
            self.owned.close()
            raise

    def _spec(self) -> Spec:
        self._known("the spec", self.tables, (*_TABLES, *_OPTIONS))
        for name in _TABLES:
            self._table(name, self.tables.get(name, {}))
        both = {name: self.codec(f"codecs.{name}", table) for name, table in self.tables.get("codecs", {}).items()}
        sides = {
            role: both
            | {name: self.codec(f"{role}.{name}", table) for name, table in self.tables.get(role, {}).items()}
            for role in ("writers", "readers")
        }
        options: dict[str, Any] = {name: self.tables[name] for name in _OPTIONS if name in self.tables}
        if "compare" in self.tables:
            from shadowmig.compare.structural import structural

            options["compare"] = _call("compare", structural, self.tables["compare"])
        trip = _call("the spec", RoundTrip, sides | options)
        values, count = self.values()
        return Spec(trip, values, count, self.owned)

    def codec(self, where: str, given: Any) -> Any:
        """Make a codec of a table."""
        table = dict(self._table(where, given))
        kind = self._one(where, table, _KINDS)
        named = table.pop(kind)
        model = table.pop("model", None)
        options = {name: self.option(f"{where}.{name}", value) for name, value in table.items()}
        if kind == "python":
            codec = _object(f"{where}.python", named)
            if isinstance(codec, type):
                codec = _call(where, codec, options)
            elif options:
                raise _wrong(where, f"{', '.join(options)} is not for python", "Make the codec in Python.")
        else:
            codec = self._made(where, kind, named, options)
        if model is not None:
            from shadowmig.wire.codecs import Structured

            codec = _call(where, Structured, {"codec": codec, "model": _object(f"{where}.model", model)})
        return codec

    def _made(self, where: str, kind: str, named: Any, options: dict[str, Any]) -> Any:
        from shadowmig.wire import codecs

        if kind == "codec":
            name = named.lower().replace("-", "").replace("_", "") if isinstance(named, str) else ""
            if name not in _CODECS:
                raise _wrong(f"{where}.codec", f"{named!r} is no codec", f"Use one of: {', '.join(_CODECS)}.")
            if "of" in options:
                options["codec"] = options.pop("of")
            return _call(where, getattr(codecs, _CODECS[name]), options)
        if kind == "process":
            options["cwd"] = str(self._path(f"{where}.cwd", options.get("cwd", ".")))
            codec = _call(where, codecs.ProcessCodec, {"command": named, **options})
        else:
            codec = _call(where, codecs.HttpCodec, {"url": named, **options})
        self.owned.callback(codec.close)
        return codec

    def option(self, where: str, value: Any) -> Any:
        """Give the value of an option: an object of Python, the content of a JSON file, another codec, or as it is."""
        if not isinstance(value, dict):
            return value
        if set(value) == {"python"}:
            return _object(where, value["python"])
        if set(value) == {"json"}:
            return self._json(where, value["json"])
        return self.codec(where, value) if any(kind in value for kind in _KINDS) else value

    def values(self) -> tuple[Any, int | None]:
        """Give what is to be checked, and how many."""
        table = self._table("values", self.tables.get("values", {}))
        self._known("values", table, (*_SOURCES, "count", "options"))
        kind = self._one("values", table, _SOURCES)
        given, where = table[kind], f"values.{kind}"
        count = table.get("count")
        if count is not None and (type(count) is not int or count < 1):
            raise _wrong("values.count", f"{count!r} is no number of values", "Use 1 or more.")
        if kind == "recorded":
            return self._recorded(where, self._path(where, given)), count
        found = self._json(where, given) if kind == "schema" else _object(where, given)
        if kind == "python":
            return _call(where, found, {}) if callable(found) and not isinstance(found, type) else found, count
        from shadowmig.wire.strategies import values_of

        options = self._table("values.options", table.get("options", {}))
        return _call(where, lambda **given: values_of(found, **given), options), count

    def _recorded(self, where: str, path: Path) -> Iterator[Any]:
        from shadowmig.wire.tagged import from_tagged

        if not path.is_file():
            raise _wrong(where, f"{path} is no file", "Give a file with one value in tagged JSON in each line.")

        def lines() -> Iterator[Any]:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        try:
                            value = from_tagged(json.loads(line))
                        except (ValueError, RecursionError) as error:
                            told = f"{path}, line {number} cannot be read: {error}"
                            raise _wrong(
                                where, told, "Write each value in tagged JSON, on a line of its own."
                            ) from error
                        yield value

        return lines()

    def _path(self, where: str, given: Any) -> Path:
        if not isinstance(given, str) or not given:
            raise _wrong(where, f"{given!r} is no path", "Use text.")
        return self.folder / given

    def _json(self, where: str, given: Any) -> Any:
        path = self._path(where, given)
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise _wrong(where, f"{path} cannot be read: {error}", "Give a file with JSON.") from error

    @staticmethod
    def _table(where: str, given: Any) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise _wrong(where, f"{given!r} is no table", f"Write [{where}].")
        return given

    @staticmethod
    def _known(where: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
        for name in table:
            if name not in allowed:
                raise _wrong(where, f"{name!r} is not known", f"Use: {', '.join(allowed)}.")

    @staticmethod
    def _one(where: str, table: Mapping[str, Any], kinds: tuple[str, ...]) -> str:
        found = [kind for kind in kinds if kind in table]
        if len(found) != 1:
            what = f"it has {' and '.join(found)}" if found else "it has none of what it is made of"
            raise _wrong(where, what, f"Give one of: {', '.join(kinds)}.")
        return found[0]
