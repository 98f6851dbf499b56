"""
JSON Schemas made flat: references and ``allOf`` merged into one mapping, with what is left to choose and to check.

A flat schema has the keywords of JSON Schema, but ``patterns`` and ``contains`` are lists, ``alternatives`` lists the
choices of ``anyOf``, ``oneOf`` and ``if``, ``sources`` the schemas that it came from, and ``checked`` tells that values
must be held against those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from shadowmig.wire.strategies._check import Document, same, searched
from shadowmig.wire.strategies._leaves import Contradiction

Flat = dict[str, Any]

_LARGER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_SMALLER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_CHECKED = frozenset({"oneOf", "not", "if", "contains", "propertyNames", "dependentSchemas", "patternProperties"})
_DEEPEST = 200

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


class Merger:
    """Makes schemas of one document flat."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def flat(self, schema: Any, depth: int = 0) -> Flat:
        """
        Make a schema flat.

        Raises:
            Contradiction: Nothing fits it.
            ConfigError: It refers to what is not there, or only to itself.
        """
        if depth > _DEEPEST:
            raise Contradiction("it refers to itself and to nothing else")
        if schema is True:
            return {}
        if schema is False:
            raise Contradiction("the schema is false")
        if schema.get("nullable") is True:
            rest = {key: value for key, value in schema.items() if key != "nullable"}
            return {"alternatives": [["anyOf", [{"type": "null"}, rest]]], "sources": [schema]}
        found = _own(schema)
        if "$ref" in schema:
            target = self.flat(self._document.target(schema["$ref"]), depth + 1)
            # A bare reference is its target, so that a schema that leads back to itself is known again.
            found = target if found.keys() == {"sources"} and "allOf" not in schema else merged(found, target)
        for one in schema.get("allOf", ()):
            found = merged(found, self.flat(one, depth + 1))
        return found


def _own(schema: Mapping[str, Any]) -> Flat:
    """Take a schema's own keywords, without those it refers to."""
    left_out = {"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "pattern", "contains", "const", "type"}
    found = {key: value for key, value in schema.items() if key not in left_out and key in _KNOWN}
    found["sources"] = [schema]
    _modernised(found, schema)
    kinds = schema.get("type")
    if kinds is not None:
        found["type"] = [kinds] if isinstance(kinds, str) else list(kinds)
    if "const" in schema:
        found["enum"] = [one for one in found.get("enum", [schema["const"]]) if same(one, schema["const"])]
    if "pattern" in schema:
        found["patterns"] = [schema["pattern"]]
    if "contains" in schema:
        found["contains"] = [[schema["contains"], schema.get("minContains", 1)]]
    choices = [[key, list(schema[key])] for key in ("anyOf", "oneOf") if key in schema]
    if "if" in schema:
        holds = {"allOf": [schema["if"], schema.get("then", True)]}
        choices.append(["if", [holds, schema.get("else", True)]])
    if choices:
        found["alternatives"] = choices
    if _CHECKED & schema.keys():
        found["checked"] = True
    return found


def _modernised(found: Flat, schema: Mapping[str, Any]) -> None:
    """Turn the spellings of older drafts, which OpenAPI 3.0 has too, into those of today."""
    for old, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(old), bool):
            del found[old]
            if schema[old] and bound in found:
                found[old] = found.pop(bound)
    if isinstance(schema.get("items"), list):
        found["prefixItems"] = found.pop("items")
        if "additionalItems" in schema:
            found["items"] = schema["additionalItems"]


_KNOWN = frozenset({
    *_LARGER, *_SMALLER, "type", "enum", "multipleOf", "format", "contentEncoding", "properties", "required",
    "additionalProperties", "patternProperties", "propertyNames", "dependentRequired", "unevaluatedProperties", "items",
    "prefixItems", "uniqueItems", "unevaluatedItems",
})  # fmt: skip


def merged(one: Flat, other: Flat) -> Flat:
    """
    Give the schema that both of two flat ones hold for.

    Raises:
        Contradiction: There is no type or value that both allow.
    """
    found = {**one, **other}
    for key in one.keys() & other.keys():
        if key in _RULES:
            found[key] = _RULES[key](one[key], other[key])
    _merge_objects(found, one, other)
    _merge_arrays(found, one, other)
    return found


def both(one: Any, other: Any) -> Any:
    """Give the schema of what fits two of them."""
    if one is False or other is False:
        return False
    if one in (True, {}) or one == other:
        return other
    return one if other in (True, {}) else {"allOf": [one, other]}


def _joined(mine: list[Any], theirs: list[Any]) -> list[Any]:
    return [*mine, *(each for each in theirs if each not in mine)]


def _common_values(mine: list[Any], theirs: list[Any]) -> list[Any]:
    found = [each for each in mine if any(same(each, its) for its in theirs)]
    if not found:
        raise Contradiction("no value is in both of two enums")
    return found


def _common_dependents(mine: dict[str, list[str]], theirs: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: _joined(mine.get(name, []), theirs.get(name, [])) for name in {**mine, **theirs}}


def _common_types(mine: list[str], theirs: list[str]) -> list[str]:
    found = [each for each in mine if each in theirs or (each == "integer" and "number" in theirs)]
    found += [each for each in theirs if each == "integer" and "number" in mine and each not in found]
    if not found:
        raise Contradiction(f"no value is both of type {' or '.join(mine)} and of type {' or '.join(theirs)}")
    return found


def _common_multiple(one: Any, other: Any) -> Any:
    mine, theirs = Fraction(str(one)), Fraction(str(other))
    found = Fraction(math.lcm(mine.numerator, theirs.numerator), math.gcd(mine.denominator, theirs.denominator))
    return int(found) if found.denominator == 1 else float(found)


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(_LARGER, max),
    **dict.fromkeys(_SMALLER, min),
    **dict.fromkeys(("patterns", "contains", "alternatives", "sources", "required"), _joined),
    **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems", "propertyNames"), both),
    "multipleOf": _common_multiple,
    "enum": _common_values,
    "type": _common_types,
    "dependentRequired": _common_dependents,
    "format": lambda mine, _: mine,
    "uniqueItems": lambda mine, theirs: mine or theirs,
}


def _merge_objects(found: Flat, one: Flat, other: Flat) -> None:
    names = {**one.get("properties", {}), **other.get("properties", {})}
    if names:
        found["properties"] = {name: both(of_member(one, name), of_member(other, name)) for name in names}
    patterns = {**one.get("patternProperties", {}), **other.get("patternProperties", {})}
    if patterns:
        found["patternProperties"] = {
            pattern: both(
                one.get("patternProperties", {}).get(pattern, True),
                other.get("patternProperties", {}).get(pattern, True),
            )
            for pattern in patterns
        }
    if "additionalProperties" in one and "additionalProperties" in other:
        found["additionalProperties"] = both(one["additionalProperties"], other["additionalProperties"])


def of_member(schema: Flat, name: str) -> Any:
    """Give what a flat schema says of a member, by its name, by patterns, or as one of all others."""
    fit = [each for pattern, each in schema.get("patternProperties", {}).items() if searched(pattern, name)]
    if name in schema.get("properties", {}):
        fit.insert(0, schema["properties"][name])
    if not fit:
        return schema.get("additionalProperties", True)
    found: Any = True
    for each in fit:
        found = both(found, each)
    return found


def _merge_arrays(found: Flat, one: Flat, other: Flat) -> None:
    first, second = one.get("prefixItems", []), other.get("prefixItems", [])
    rest, others = one.get("items", True), other.get("items", True)
    if first or second:
        places = range(max(len(first), len(second)))
        found["prefixItems"] = [
            both(first[at] if at < len(first) else rest, second[at] if at < len(second) else others) for at in places
        ]
    if "items" in one and "items" in other:
        found["items"] = both(rest, others)
