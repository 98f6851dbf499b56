"""Whether a value fits a JSON Schema, as far as values are made by drawing and throwing away."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from shadowmig.errors import ConfigError
from shadowmig.wire.strategies._limits import Limits
from shadowmig.wire.strategies._scalars import is_multiple


def canonical(value: Any) -> Any:
    """Give what is equal, and hashable, for values that JSON Schema takes for equal: 1 and 1.0 are, 1 and true not."""
    if isinstance(value, bool) or value is None:
        return str(value), None
    if isinstance(value, list | tuple):
        return "list", tuple(canonical(one) for one in value)
    if isinstance(value, Mapping):
        return "dict", frozenset((key, canonical(one)) for key, one in value.items())
    return "value", value


def same(one: Any, other: Any) -> bool:
    """Whether JSON Schema takes two values for equal."""
    return bool(canonical(one) == canonical(other))


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """
    Compile a pattern in the dialect of ECMA 262, as near as Python comes to it.

    Raises:
        ConfigError: Python cannot read it.
    """
    spelled = pattern
    if spelled.endswith("$") and (len(spelled) - len(spelled[:-1].rstrip("\\"))) % 2:
        spelled = spelled[:-1] + r"\Z"  # Python's $ is also before a last line feed
    try:
        return re.compile(re.sub(r"(?<!\\)((?:\\\\)*)\\d", r"\1[0-9]", spelled))
    except re.error as error:
        raise ConfigError(
            f"Python cannot read the pattern {pattern!r}: {error}.",
            remedy="Write it in a form that both know, or give a strategy for its path.",
            field="pattern",
            value=pattern,
        ) from None


def searched(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text."""
    return compiled(pattern).search(text) is not None


def is_of(kind: str, value: Any) -> bool:
    """Whether a value is of a type of JSON Schema."""
    if kind == "integer":
        return not isinstance(value, bool) and (isinstance(value, int) or (type(value) is float and value.is_integer()))
    return kind in _KINDS and isinstance(value, _KINDS[kind]) and (kind != "number" or not isinstance(value, bool))


_KINDS: dict[str, Any] = {
    "null": type(None),
    "boolean": bool,
    "number": (int, float),
    "string": str,
    "array": list,
    "object": dict,
}


class Document:
    """A JSON Schema with everything that it refers to."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._anchors = {each["$anchor"]: each for each in _schemas(root) if isinstance(each.get("$anchor"), str)}

    def target(self, ref: str) -> Any:
        """
        Give the schema that a reference leads to.

        Raises:
            ConfigError: It leads to nothing, or out of the document.
        """
        own = self._root.get("$id", "")
        place = ref.removeprefix(own.removesuffix("#")) if own else ref
        found: Any = self._root
        try:
            if not place.startswith("#") and place:
                raise KeyError(ref)
            if place[1:2] not in {"", "/"}:
                return self._anchors[place[1:]]
            for part in place[1:].split("/")[1:]:
                name = unquote(part).replace("~1", "/").replace("~0", "~")
                found = found[int(name)] if isinstance(found, list) else found[name]
        except (LookupError, ValueError, TypeError):
            raise ConfigError(
                f"$ref {ref!r} leads to nothing in the schema.",
                remedy="Put what it means under $defs of the same schema.",
                field="$ref",
                value=ref,
            ) from None
        return found

    def fits(self, schema: Any, value: Any) -> bool:
        """Whether a value fits a schema; formats and ``unevaluated...`` are not looked at."""
        if isinstance(schema, bool):
            return schema
        if value is None and schema.get("nullable") is True:
            return True
        return all(rule(self, schema, value) for key, rule in _RULES.items() if key in schema)

    def _numbers(self, schema: Mapping[str, Any], value: Any) -> bool:
        if not is_of("number", value):
            return True
        limits = Limits()
        for key, name, strict in (("minimum", "ge", "exclusiveMinimum"), ("maximum", "le", "exclusiveMaximum")):
            exclusive = schema.get(strict)
            if key in schema:
                limits = limits.with_bound(name.replace("e", "t") if exclusive is True else name, schema[key])
            if exclusive is not None and not isinstance(exclusive, bool):
                limits = limits.with_bound(name.replace("e", "t"), exclusive)
        step = schema.get("multipleOf")
        return limits.inside(value) and (step is None or is_multiple(value, step))

    def _texts(self, schema: Mapping[str, Any], value: Any) -> bool:
        if not isinstance(value, str):
            return True
        fits = "pattern" not in schema or searched(schema["pattern"], value)
        return fits and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))

    def _arrays(self, schema: Mapping[str, Any], value: Any) -> bool:
        if not isinstance(value, list):
            return True
        first = schema.get("prefixItems", [])
        rest = schema.get("items", True)
        if isinstance(rest, list):
            first, rest = rest, schema.get("additionalItems", True)
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return False
        if schema.get("uniqueItems") and len({canonical(one) for one in value}) < len(value):
            return False
        if "contains" in schema:
            count = sum(self.fits(schema["contains"], one) for one in value)
            if not schema.get("minContains", 1) <= count <= schema.get("maxContains", count):
                return False
        return all(self.fits(first[at] if at < len(first) else rest, one) for at, one in enumerate(value))

    def _objects(self, schema: Mapping[str, Any], value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
            return False
        if not all(name in value for name in schema.get("required", ())):
            return False
        for name, others in schema.get("dependentRequired", {}).items():
            if name in value and not all(other in value for other in others):
                return False
        for name, other in schema.get("dependentSchemas", {}).items():
            if name in value and not self.fits(other, value):
                return False
        names = schema.get("propertyNames", True)
        return all(self.fits(names, key) and self._member(schema, key, one) for key, one in value.items())

    def _member(self, schema: Mapping[str, Any], key: str, value: Any) -> bool:
        rules = [rule for pattern, rule in schema.get("patternProperties", {}).items() if searched(pattern, key)]
        if key in schema.get("properties", {}):
            rules.append(schema["properties"][key])
        return all(self.fits(rule, value) for rule in rules or [schema.get("additionalProperties", True)])

    def _condition(self, schema: Mapping[str, Any], value: Any) -> bool:
        way = "then" if self.fits(schema["if"], value) else "else"
        return self.fits(schema.get(way, True), value)


_Rule = Callable[[Document, Mapping[str, Any], Any], bool]

_RULES: dict[str, _Rule] = {
    "$ref": lambda self, schema, value: self.fits(self.target(schema["$ref"]), value),
    "type": lambda self, schema, value: any(
        is_of(kind, value) for kind in ([schema["type"]] if isinstance(schema["type"], str) else schema["type"])
    ),
    "enum": lambda self, schema, value: any(same(one, value) for one in schema["enum"]),
    "const": lambda self, schema, value: same(schema["const"], value),
    "allOf": lambda self, schema, value: all(self.fits(one, value) for one in schema["allOf"]),
    "anyOf": lambda self, schema, value: any(self.fits(one, value) for one in schema["anyOf"]),
    "oneOf": lambda self, schema, value: sum(self.fits(one, value) for one in schema["oneOf"]) == 1,
    "not": lambda self, schema, value: not self.fits(schema["not"], value),
    "if": Document._condition,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), Document._numbers),
    **dict.fromkeys(("pattern", "minLength", "maxLength"), Document._texts),
    **dict.fromkeys(
        ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "additionalItems"), Document._arrays
    ),
    **dict.fromkeys(
        (
            *("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
            *("minProperties", "maxProperties", "dependentRequired", "dependentSchemas"),
        ),
        Document._objects,
    ),
}


def _schemas(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for one in value.values():
            yield from _schemas(one)
    elif isinstance(value, list):
        for one in value:
            yield from _schemas(one)
