"""
From the options of `structural` to a compiled plan. Whatever is wrong with them is refused here, with its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

from shadowmig.compare._instants import UNITS
from shadowmig.compare._prepare import CLASSES
from shadowmig.compare._relations import parse_relation
from shadowmig.compare._rules import Entry, Options, Rule, Tolerance, Use
from shadowmig.compare._states import Plan
from shadowmig.compare.paths import Deep, Segment, Wild, parse
from shadowmig.errors import ConfigError

_EVERYWHERE: Final[tuple[tuple[Segment, ...], ...]] = ((), (Deep(), Wild()))
_PLACES: Final = (
    "missing_is_null", "empty_is_null", "missing_is_zero", "numeric_strings", "html_unescape", "base64", "json_text",
)  # fmt: skip
_CHOICES: Final[dict[str, tuple[Any, ...]]] = {
    "numbers": ("strict", "value"),
    "unicode": (None, "NFC"),
    "text_bytes": (None, "utf8"),
    "sequences": ("strict", "any"),
    "dict_types": ("strict", "any"),
    "duplicate_keys": ("last", "reject"),
    "signed_zero": ("strict", "same"),
    "datetimes": ("strict", "instant"),
}


def compile_plan(given: Mapping[str, Any]) -> Plan:
    """The plan for these options."""
    return _Builder(given).plan()


class _Builder:
    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.entries: list[Entry] = []
        self.uses: list[Use] = []

    def plan(self) -> Plan:
        self._ignore()
        self._only()
        self._unordered()
        self._tolerance()
        self._normalize()
        self._timestamps()
        for option in _PLACES:
            self._at(option, self.given[option])
        self._mask()
        everywhere = self._choices()
        relations = tuple(
            parse_relation(text, self._use(f"relation {text}")) for text in _items("relations", self.given["relations"])
        )
        by = {option: self.given[option] for option in _CHOICES}
        options = Options(
            by_value=by["numbers"] == "value",
            any_sequence=by["sequences"] == "any",
            any_dict=by["dict_types"] == "any",
            same_zero=by["signed_zero"] == "same",
            nfc=by["unicode"] == "NFC",
            text_bytes=by["text_bytes"] == "utf8",
            instants=by["datetimes"] == "instant",
            reject_duplicates=by["duplicate_keys"] == "reject",
        )
        return Plan(options, tuple(self.entries), tuple(self.uses), everywhere, relations)

    def _choices(self) -> dict[str, int]:
        everywhere: dict[str, int] = {}
        for option, allowed in _CHOICES.items():
            value = self.given[option]
            if not any(value is one or (type(value) is str and value == one) for one in allowed):
                names = ", ".join(map(repr, allowed))
                raise ConfigError(f"{option}: {value!r} is not one of {names}.", field=option, value=value)
            if value != allowed[0] and option != "duplicate_keys":
                everywhere[option] = self._use(f"{option}={value}")
        return everywhere

    def _use(self, text: str, reason: str = "", expires: date | None = None) -> int:
        self.uses.append(Use(text, reason, expires))
        return len(self.uses) - 1

    def _add(self, option: str, path: Any, value: Any, *, text: str | None = None, use: int | None = None) -> None:
        """One rule; the path ``True`` stands for everywhere."""
        if path is True:
            places, shown = _EVERYWHERE, "everywhere"
        else:
            parsed = parse(path, option=option)
            places, shown = (parsed.segments,), parsed.text
        index = self._use(text if text is not None else f"{option} {shown}") if use is None else use
        self.entries.extend(Entry(option, segments, index, value) for segments in places)

    def _at(self, option: str, where: Any) -> None:
        for path in _paths(option, where):
            self._add(option, path, value=True)

    def _ignore(self) -> None:
        for one in _items("ignore", self.given["ignore"], (str, Rule)):
            rule = one if isinstance(one, Rule) else Rule(one)
            expires = rule.expires.date() if isinstance(rule.expires, datetime) else rule.expires
            if expires is not None and not isinstance(expires, date):
                raise ConfigError("ignore: Rule.expires is a date.", field="ignore", value=rule.expires)
            self._add("ignore", rule.path, value=True, use=self._use(str(rule.path), str(rule.reason), expires))

    def _only(self) -> None:
        rules = [one.path if isinstance(one, Rule) else one for one in _items("only", self.given["only"], (str, Rule))]
        if rules:
            use = self._use(f"only {', '.join(map(str, rules))}")
            for path in rules:
                self._add("only", path, value=True, use=use)

    def _unordered(self) -> None:
        given = self.given["unordered"]
        fields = given if isinstance(given, Mapping) else dict.fromkeys(_paths("unordered", given))
        for path, name in fields.items():
            if name is not None and (type(name) is not str or not name):
                raise ConfigError(
                    f"unordered: {name!r} is not the name of a field.",
                    remedy="Give a field to align elements by, or None for a multiset.",
                    field="unordered",
                    value=name,
                )
            shown = "everywhere" if path is True else path
            self._add("unordered", path, name, text=f"unordered {shown}" + (f" by {name}" if name else ""))

    def _tolerance(self) -> None:
        given = self.given["tolerance"]
        if given is None:
            return
        for path, value in given.items() if isinstance(given, Mapping) else [(True, given)]:
            tolerance = value if isinstance(value, Tolerance) else Tolerance(abs=value)
            for name in (tolerance.rel, tolerance.abs):
                if type(name) not in (int, float) or not 0 <= name < float("inf"):
                    raise ConfigError(
                        f"tolerance: {value!r} is not a finite number of at least 0, or a Tolerance of such.",
                        field="tolerance",
                        value=value,
                    )
            if tolerance.rel or tolerance.abs:
                self._add("tolerance", path, tolerance)

    def _normalize(self) -> None:
        for path, functions in _mapping("normalize", self.given["normalize"]).items():
            for function in [functions] if callable(functions) else _items("normalize", functions):
                if not callable(function):
                    raise ConfigError(f"normalize: {function!r} is not callable.", field="normalize", value=function)
                self._add("normalize", path, function)

    def _timestamps(self) -> None:
        given = self.given["timestamps"]
        if isinstance(given, Mapping):
            if set(given) <= {"paths", "precision"} and "paths" in given:
                pairs = [(path, given.get("precision", "ns")) for path in _paths("timestamps", given["paths"])]
            else:
                pairs = list(given.items())
        else:
            pairs = [(path, "ns") for path in _paths("timestamps", given)]
        for path, precision in pairs:
            unit = UNITS.get(precision) if type(precision) is str else None
            if unit is None:
                raise ConfigError(
                    f"timestamps: the precision {precision!r} is not one of {', '.join(UNITS)}.",
                    field="timestamps",
                    value=precision,
                )
            self._add("timestamps", path, unit)

    def _mask(self) -> None:
        for path, mask in _mapping("mask", self.given["mask"]).items():
            name = mask if type(mask) is str else getattr(mask, "__name__", "pattern")
            self._add("mask", path, _predicate(mask), text=f"mask {'everywhere' if path is True else path} ({name})")


def _predicate(mask: Any) -> Callable[[Any], bool]:
    if type(mask) is str and mask in CLASSES:
        return CLASSES[mask]
    if isinstance(mask, type):
        return lambda value: type(value) is mask
    if isinstance(mask, re.Pattern):
        return lambda value: mask.fullmatch(value) is not None
    if callable(mask):
        return lambda value: bool(mask(value))
    raise ConfigError(
        f"mask: {mask!r} is not one of {', '.join(CLASSES)}, a type, a compiled pattern or a callable.",
        field="mask",
        value=mask,
    )


def _paths(option: str, given: Any) -> list[Any]:
    """Paths as they were given, or ``[True]`` for everywhere."""
    if given is True:
        return [True]
    return _items(option, () if given is False else given)


def _items(option: str, given: Any, single: tuple[type[Any], ...] = (str,)) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, single):
        return [given]
    if isinstance(given, (bytes, Mapping)) or not isinstance(given, Iterable):
        raise ConfigError(f"{option}: expected a list of paths, not {type(given).__name__}.", field=option, value=given)
    return list(given)


def _mapping(option: str, given: Any) -> Mapping[Any, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"{option}: expected a mapping from paths, not {type(given).__name__}.", field=option, value=given
        )
    return given
