"""Models that are JSON Schemas."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from shadowmig.errors import ConfigError
from shadowmig.wire.strategies import _leaves as leaves
from shadowmig.wire.strategies._check import Document, canonical, compiled, searched
from shadowmig.wire.strategies._containers import Extras, Items, Record, Slot
from shadowmig.wire.strategies._formats import FORMATS
from shadowmig.wire.strategies._leaves import Contradiction
from shadowmig.wire.strategies._limits import Limits
from shadowmig.wire.strategies._merge import TYPES, Flat, Merger, both, merged, of_member
from shadowmig.wire.strategies._nodes import Checked, Node, either
from shadowmig.wire.strategies._options import Options, Overrides, json_node, refuse
from shadowmig.wire.strategies._scalars import of_pattern, scalar, with_unknown
from shadowmig.wire.strategies._types import Memory, unknown_members

_BY_KEYWORD = {
    "string": ("minLength", "maxLength", "patterns", "format", "contentEncoding"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "unevaluatedItems"),
    "object": (
        *("properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties"),
        *("maxProperties", "dependentRequired", "unevaluatedProperties"),
    ),
}
"""Keywords that are about one type: a schema without ``type`` means it, where it has one of them."""

_UNKNOWN = ("$dynamicRef", "$recursiveRef")


class SchemaReader:
    """Makes nodes of the schemas in one document."""

    def __init__(self, root: Mapping[str, Any], options: Options, overrides: Overrides) -> None:
        self._options = options
        self._overrides = overrides
        self._document = Document(root)
        self._merger = Merger(self._document)
        self._memory = Memory(overrides)
        self._any = json_node(options)
        self.seen: set[str] = set()

    def node(self, schema: Any, path: str = "") -> Node:
        """
        Give the node of a schema.

        Raises:
            Contradiction: It has no values.
            ConfigError: It is no schema, refers to what is not there, or has a keyword that is not known.
        """
        self.seen.add(path)
        given = self._overrides.at(path)
        if given is not None:
            return given
        try:
            self._check_form(schema, path)
            flat = self._merger.flat(schema)
            return self._memory.node(_text_of(flat), path, partial(self._read, flat, path))
        except Contradiction as error:
            error.path = path if error.path is None else error.path
            raise

    def _check_form(self, schema: Any, path: str) -> None:
        if not isinstance(schema, bool | Mapping):
            refuse(path, f"{type(schema).__name__} is no schema")
        if isinstance(schema, Mapping):
            for key in _UNKNOWN:
                if key in schema:
                    refuse(path, f"{key} is not known here", "Use $ref and $defs.")
            for kind in [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", ()):
                if kind not in TYPES:
                    refuse(path, f"type {kind!r} is none of {', '.join(TYPES)}")

    def _read(self, flat: Flat, path: str) -> Node:
        if flat.get("checked"):
            sources = flat["sources"]
            node = self._read({key: value for key, value in flat.items() if key != "checked"}, path)
            return Checked(node, lambda value: all(self._document.fits(one, value) for one in sources), path, "schema")
        if flat.get("alternatives"):
            return self._alternatives(flat, path)
        if "enum" in flat:
            return self._enum(flat)
        kinds = flat.get("type") or [kind for kind, names in _BY_KEYWORD.items() if any(name in flat for name in names)]
        if not kinds:
            return self._any
        # An integer is a number too, and would be drawn by both.
        return either([self._of_type(kind, flat, path) for kind in kinds if kind != "integer" or "number" not in kinds])

    def _alternatives(self, flat: Flat, path: str) -> Node:
        (_, branches), *others = flat["alternatives"]
        rest = {**flat, "alternatives": others}
        found, why = [], Contradiction("no alternative")
        for branch in branches:
            try:
                self._check_form(branch, path)
                both_flat = merged(rest, self._merger.flat(branch))
                found.append(self._memory.node(_text_of(both_flat), path, partial(self._read, both_flat, path)))
            except Contradiction as error:
                why = error
        if not found:
            raise why
        return either(found)

    def _enum(self, flat: Flat) -> Node:
        found = [value for value in flat["enum"] if all(self._document.fits(one, value) for one in flat["sources"])]
        if not found:
            raise Contradiction("no value of the enum fits the rest of the schema")
        return with_unknown(found, found, self._options)

    def _of_type(self, kind: str, flat: Flat, path: str) -> Node:
        match kind:
            case "null":
                return leaves.nothing()
            case "boolean":
                return leaves.booleans()
            case "string":
                return self._text(flat, path)
            case "array":
                return self._array(flat, path)
            case "object":
                return self._object(flat, path)
        return self._number(kind, flat)

    def _number(self, kind: str, flat: Flat) -> Node:
        limits = Limits(multiple=flat.get("multipleOf"))
        form = flat.get("format")
        if form in {"int32", "int64"}:
            bits = int(form[3:])
            limits = limits.with_bound("ge", -(2 ** (bits - 1))).with_bound("le", 2 ** (bits - 1) - 1)
        bounds = (("minimum", "ge"), ("maximum", "le"), ("exclusiveMinimum", "gt"), ("exclusiveMaximum", "lt"))
        for key, name in bounds:
            if key in flat:
                limits = limits.with_bound(name, flat[key])
        found, why = [], Contradiction("no number")
        for sort in (int,) if kind == "integer" else (int, float):
            try:
                node = scalar(sort, limits, self._options)
                assert node is not None
                found.append(node)
            except Contradiction as error:
                why = error
        if not found:
            raise why
        return either(found)

    def _text(self, flat: Flat, path: str) -> Node:
        least, most = flat.get("minLength", 0), flat.get("maxLength", math.inf)
        if flat.get("patterns"):
            patterns = tuple((compiled(one), False) for one in flat["patterns"])
            return of_pattern(Limits(least=least, most=most, patterns=patterns))
        form = "byte" if flat.get("contentEncoding") == "base64" else flat.get("format")
        maker = FORMATS.get(str(form))
        if maker is not None:
            node = maker(self._options)
            if least or most < math.inf:
                return Checked(node, lambda text: least <= len(text) <= most, path, "format and length together")
            return node
        return leaves.texts(least, most, surrogates=self._options.surrogates, longest=self._options.longest)

    def _array(self, flat: Flat, path: str) -> Node:
        least, most = flat.get("minItems", 0), flat.get("maxItems", math.inf)
        first = []
        for place, schema in enumerate(flat.get("prefixItems", [])):
            if schema is False:
                most = min(most, place)
                break
            first.append(self.node(schema, f"{path}[{place}]"))
        rest = flat.get("items", flat.get("unevaluatedItems", True))
        item = None if rest is False or most <= len(first) else self.node(rest, f"{path}[]")
        if item is None:
            most = min(most, len(first))
        musts = [
            self.node(both(rest, schema), f"{path}[]")
            for schema, count in flat.get("contains", ())
            for _ in range(count)
        ]
        if least > most or len(musts) > most:
            raise Contradiction("it must have more items than it may")
        key = canonical if flat.get("uniqueItems") else None
        return Items(first, item, least, most, key=key, musts=musts, path=path)

    def _object(self, flat: Flat, path: str) -> Node:
        required = flat.get("required", [])
        along = flat.get("dependentRequired", {})
        names = dict.fromkeys(
            [*flat.get("properties", {}), *required, *(one for each in along.values() for one in each)]
        )
        slots = []
        for name in names:
            schema = of_member(flat, name)
            if schema is True and name not in flat.get("properties", {}) and "additionalProperties" not in flat:
                schema = flat.get("unevaluatedProperties", True)
            if schema is not False:
                inside = f"{path}.{name}" if path else name
                slots.append(Slot(name, self.node(schema, inside), name in required, along.get(name, ())))
            elif name in required:
                raise Contradiction(f"the member {name!r} is both required and forbidden")
        return Record(path, dict, slots, self._extras(flat, slots, path))

    def _extras(self, flat: Flat, slots: Sequence[Slot], path: str) -> Extras | None:
        least, most = flat.get("minProperties", 0), flat.get("maxProperties", math.inf)
        needed = sum(slot.needed for slot in slots)
        rest = flat.get("additionalProperties", flat.get("unevaluatedProperties"))
        patterns = flat.get("patternProperties", {})
        sorts = []
        if rest is not False and (rest is not None or least > len(slots)):
            sorts.append((self._keys(flat, patterns, path), self.node(True if rest is None else rest, f"{path}[]")))
        for pattern, schema in patterns.items():
            if schema is not False:
                keys = of_pattern(Limits(patterns=((compiled(pattern), False),)))
                sorts.append((keys, self.node(schema, f"{path}[]")))
        if self._options.unknown_fields:
            sorts += unknown_members([slot.key for slot in slots], self._any).sorts
        if needed > most or least > most or (least > len(slots) and not sorts):
            raise Contradiction("it must have more members than it may, or fewer")
        if not sorts and not least and most == math.inf:
            return None
        return Extras(sorts, least, most)

    def _keys(self, flat: Flat, patterns: Mapping[str, Any], path: str) -> Node:
        if "propertyNames" in flat:
            node = self.node(both({"type": "string"}, flat["propertyNames"]), f"{path}{{}}")
        else:
            node = leaves.keys(surrogates=self._options.surrogates)
        if not patterns:
            return node
        return Checked(node, lambda key: not any(searched(one, key) for one in patterns), path, "names of members")


def _text_of(flat: Flat) -> str:
    """Spell a flat schema, so that equal ones are read once."""
    try:
        return json.dumps(flat, sort_keys=True)
    except (TypeError, ValueError):
        raise ConfigError(
            "The schema holds what JSON does not have.", remedy="Give it as json.load does.", field="model"
        ) from None
