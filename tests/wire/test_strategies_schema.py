"""Values of JSON Schemas, held against another implementation of JSON Schema."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowmig.errors import ConfigError
from shadowmig.wire.strategies import sample, values_of
from shadowmig.wire.strategies._check import Document


@pytest.fixture(autouse=True)
def small_pools(monkeypatch):
    """Have hypothesis draw fewer values of each pattern, for it takes long, and they are much alike."""
    monkeypatch.setattr("shadowmig.wire.strategies._source.POOL", 60)


TREE = {
    "$id": "https://example.org/tree",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"value": {"$ref": "#/$defs/leaf"}, "next": {"$ref": "#/$defs/node", "description": "more"}},
            "required": ["value"],
            "additionalProperties": False,
        },
        "leaf": {"$anchor": "leaf", "type": ["integer", "null"], "minimum": 0},
        "a/b~c": {"const": 1},
    },
    "type": "array",
    "items": {"$ref": "https://example.org/tree#/$defs/node"},
    "prefixItems": [{"$ref": "#leaf"}, {"$ref": "#/$defs/a~1b~0c"}],
}

SCHEMAS = {
    "anything": True,
    "empty": {},
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "integer in bounds": {"type": "integer", "minimum": 3, "exclusiveMaximum": 6},
    "integer in fractions": {"type": "integer", "minimum": 0.5, "maximum": 3.5},
    "multiple": {"type": "integer", "multipleOf": 3, "minimum": 1},
    "multiple of a fraction": {"type": "number", "multipleOf": 0.25, "minimum": -1, "maximum": 2},
    "int32": {"type": "integer", "format": "int32"},
    "number": {"type": "number"},
    "number in bounds": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "number only between ints": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "text": {"type": "string", "minLength": 1, "maxLength": 3},
    "pattern": {"type": "string", "pattern": "^[a-f]{2,4}$"},
    "pattern inside": {"type": "string", "pattern": "\\d\\d", "maxLength": 6},
    "two patterns": {"allOf": [{"pattern": "^[a-z]{3}$"}, {"pattern": "[ab]"}], "type": "string"},
    "types": {"type": ["string", "integer", "null"], "maxLength": 3, "minimum": 5},
    "integer and number": {"type": ["integer", "number"]},
    "no type": {"minLength": 2},
    "no type, several": {"minLength": 2, "minimum": 3},
    "enum": {"enum": [1, "a", None, [1], {"b": 2}]},
    "enum with bounds": {"enum": [1, 2, 3, "a"], "type": "integer", "minimum": 2},
    "const": {"const": {"a": [1]}},
    "const in enum": {"const": 2, "enum": [1, 2]},
    "object": {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "no": False},
        "required": ["id", "other"],
    },
    "closed": {"properties": {"a": True}, "additionalProperties": False, "type": "object"},
    "map": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2, "maxProperties": 3},
    "any map": {"type": "object", "additionalProperties": True},
    "names": {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z]+$", "maxLength": 4},
        "additionalProperties": {"type": "null"},
        "minProperties": 1,
    },
    "patterns of names": {
        "type": "object",
        "properties": {"s_a": {"minLength": 2}},
        "patternProperties": {"^s_": {"type": "string"}, "^i_": {"type": "integer"}, "^x": False},
        "additionalProperties": False,
    },
    "patterns and others": {
        "type": "object",
        "patternProperties": {"a": {"type": "string"}},
        "additionalProperties": {"type": "null"},
    },
    "few of many": {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in "abcdef"},
        "maxProperties": 2,
        "minProperties": 2,
    },
    "many needed": {"type": "object", "properties": dict.fromkeys("abcd", True), "minProperties": 3},
    "dependent": {
        "type": "object",
        "properties": {"card": {"type": "integer"}, "address": {"type": "string"}, "zip": {"type": "string"}},
        "dependentRequired": {"zip": ["address"], "card": ["zip", "more"]},
    },
    "dependent schema": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "dependentSchemas": {"a": {"required": ["b"]}},
    },
    "array": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
    "unique": {"type": "array", "items": {"enum": [0, False, 1, True, "1"]}, "uniqueItems": True, "minItems": 3},
    "tuple": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 1},
    "cut tuple": {"type": "array", "prefixItems": [{"type": "integer"}, False]},
    "open tuple": {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}, "minItems": 2},
    "contains": {"type": "array", "contains": {"type": "integer", "minimum": 5}, "minContains": 2, "maxContains": 3},
    "contains none": {"type": "array", "items": {"type": "boolean"}, "contains": {"const": True}, "minContains": 0},
    "contains beside": {"type": "array", "items": {"type": ["integer", "string"]}, "contains": {"type": "string"}},
    "one of": {"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 3}]},
    "one of, overlapping": {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 0}]},
    "one of objects": {
        "oneOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}},
                "required": ["kind", "x"],
            },
            {
                "type": "object",
                "properties": {"kind": {"const": "b"}},
                "required": ["kind"],
                "additionalProperties": False,
            },
        ]
    },
    "any of": {
        "type": "object",
        "required": ["a"],
        "anyOf": [{"properties": {"a": {"type": "null"}}}, {"required": ["b"]}],
    },
    "any of, one impossible": {"type": "integer", "anyOf": [{"type": "string"}, {"minimum": 7}]},
    "any and one of": {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "oneOf": [{"minimum": 3, "type": ["integer"]}, {"maxLength": 2, "type": "string"}],
    },
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
            {"properties": {"a": {"minimum": 1, "type": "integer"}, "b": {"type": "string"}}, "required": ["b"]},
        ]
    },
    "all of closed": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
            {"type": "object", "properties": {"b": {"minLength": 1}}, "additionalProperties": {"maxLength": 5}},
        ]
    },
    "all of numbers": {
        "allOf": [
            {"type": "integer", "multipleOf": 4, "minimum": 0, "maximum": 1000},
            {"multipleOf": 6, "exclusiveMinimum": 5, "maximum": 500, "exclusiveMaximum": 400},
            {"exclusiveMinimum": 7, "exclusiveMaximum": 300},
        ]
    },
    "all of fractions": {"allOf": [{"type": "number", "multipleOf": 0.5}, {"multipleOf": 0.75, "maximum": 100}]},
    "all of arrays": {
        "allOf": [
            {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            {"prefixItems": [{"minimum": 0}], "items": {"maximum": 9}, "maxItems": 4, "uniqueItems": True},
            {"items": {"minimum": -9}, "uniqueItems": True},
        ]
    },
    "all of texts": {
        "allOf": [{"type": "string", "minLength": 2, "format": "x"}, {"minLength": 3, "maxLength": 5, "format": "y"}]
    },
    "all of enums": {"allOf": [{"enum": [1, 2, 3]}, {"enum": [2, 3, 4]}, True]},
    "all of objects": {
        "allOf": [
            {
                "dependentRequired": {"a": ["b"]},
                "patternProperties": {"^n": {"type": "integer"}},
                "propertyNames": {"maxLength": 5},
            },
            {
                "dependentRequired": {"a": ["c"], "b": ["c"]},
                "patternProperties": {"^n": {"minimum": 0}},
                "type": "object",
            },
            {"propertyNames": {"minLength": 1}, "properties": {"a": True, "b": True, "c": True, "n1": True}},
        ]
    },
    "unevaluated": {
        "type": "object",
        "allOf": [{"properties": {"a": {"type": "integer"}}}],
        "anyOf": [{"properties": {"b": {"type": "string"}}, "required": ["b"]}],
        "unevaluatedProperties": False,
    },
    "unevaluated items": {
        "type": "array",
        "prefixItems": [{"type": "integer"}],
        "unevaluatedItems": {"type": "string"},
    },
    "unevaluated, required": {"type": "object", "required": ["a"], "unevaluatedProperties": {"type": "integer"}},
    "not": {"type": "integer", "minimum": 0, "maximum": 10, "not": {"multipleOf": 2}},
    "not a type": {"not": {"type": ["string", "object"]}},
    "if": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}, "x": {"type": "integer"}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["x"]},
        "else": {"properties": {"x": False}},
    },
    "if only": {"type": "integer", "if": {"minimum": 10}, "then": {"multipleOf": 5}},
    "tree": TREE,
    "list of itself": {"type": "array", "items": {"$ref": "#"}},
    "itself by all of": {
        "type": "object",
        "properties": {"more": {"allOf": [{"$ref": "#"}, {"required": ["id"]}]}, "id": {"type": "integer"}},
        "additionalProperties": False,
    },
    "linked": {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}, "maxItems": 1}]}},
    },
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_values_fit_their_schema(name):
    """Whatever is drawn fits, as the package jsonschema judges, and can be written as JSON."""
    schema = SCHEMAS[name] if isinstance(SCHEMAS[name], dict) else {"allOf": [SCHEMAS[name]]}
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    values = sample(values_of(schema), 200, seed=3)
    assert values
    for value in values:
        json.dumps(value, allow_nan=False).encode()
        validator.validate(value)


MIXED = [
    *(None, True, False, 0, 1, 2, 3, 4.5, -7, 10, 12, 1.0, 2**40, "", "a", "ab", "abc", "abcdef", "12", "n1"),
    *([], [1], [1, 1], [1, 1.0], [True, 1], ["a", 2, None], [1, 2, 3, 4, 5], [[]], [{"a": 1}]),
    *(
        {},
        {"a": 1},
        {"b": "x"},
        {"a": 1, "b": "x"},
        {"a": 1, "b": "x", "c": 2},
        {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},
    ),
    *({"kind": "a"}, {"kind": "a", "x": 1}, {"kind": "b", "x": 1}, {"id": 1, "other": 2}, {"n1": -1}, {"value": 0}),
]


@pytest.mark.parametrize("name", [name for name in SCHEMAS if "unevaluated" not in name])
def test_check_agrees_with_jsonschema(name):
    """Whether a value fits a schema is told as the package jsonschema tells it, of values of every kind."""
    schema = SCHEMAS[name]
    document = Document(schema if isinstance(schema, dict) else {})
    validator = jsonschema.Draft202012Validator(schema)
    assert [document.fits(schema, value) for value in MIXED] == [validator.is_valid(value) for value in MIXED]


@pytest.mark.parametrize("name", ["tree", "all of", "one of objects", "unique", "patterns of names", "dependent"])
def test_values_fit_when_drawn_by_hypothesis(name):
    """The other way of drawing gives values that fit, too."""
    validator = jsonschema.Draft202012Validator(SCHEMAS[name])

    @settings(database=None, max_examples=40, deadline=None)
    @given(values_of(SCHEMAS[name]))
    def fits(value):
        validator.validate(value)

    fits()


OLDER = {
    "nullable": ({"type": "string", "nullable": True}, lambda value: value is None or isinstance(value, str)),
    "nullable ref": (
        {"$ref": "#/$defs/a", "nullable": True, "$defs": {"a": {"type": "integer"}}},
        lambda value: value is None or isinstance(value, int),
    ),
    "nullable checked": (
        {"oneOf": [{"type": "integer"}, {"type": "string", "nullable": True}]},
        lambda value: value is None or isinstance(value, int | str),
    ),
    "exclusive bound": (
        {"type": "integer", "minimum": 3, "exclusiveMinimum": True, "maximum": 5, "exclusiveMaximum": False},
        lambda value: value in {4, 5},
    ),
    "exclusive bound, checked": (
        {
            "type": "integer",
            "minimum": 3,
            "exclusiveMinimum": True,
            "maximum": 6,
            "exclusiveMaximum": True,
            "not": {"const": 4},
        },
        lambda value: value == 5,
    ),
    "no bound": ({"type": "integer", "exclusiveMinimum": True}, lambda value: isinstance(value, int)),
    "list of items": (
        {"type": "array", "items": [{"type": "integer"}], "additionalItems": {"type": "string"}, "minItems": 2},
        lambda value: isinstance(value[0], int) and all(isinstance(one, str) for one in value[1:]),
    ),
    "list of items, checked": (
        {"type": "array", "items": [{"type": "integer"}], "additionalItems": False, "not": {"maxItems": 0}},
        lambda value: len(value) == 1,
    ),
    "encoded": ({"type": "string", "contentEncoding": "base64"}, lambda value: len(value) % 4 == 0),
}


@pytest.mark.parametrize("name", OLDER)
def test_spellings_of_openapi_are_read(name):
    """What OpenAPI 3.0 and older drafts spell otherwise is meant as it is meant there."""
    schema, check = OLDER[name]
    values = sample(values_of(schema), 300)
    assert values
    assert [value for value in values if not check(value)] == []
    assert "nullable" not in name or None in values


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("date-time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"),
        ("date", r"\d{4}-\d\d-\d\d"),
        ("time", r"\d\d:\d\d:\d\d(\.\d{6})?Z"),
        ("uuid", r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
        ("byte", r"[A-Za-z0-9+/]*={0,2}"),
        ("email", r".+@.+"),
        ("ipv4", r"(\d+\.){3}\d+"),
        ("ipv6", r"[0-9a-fA-F:.]+"),
        ("hostname", r"[a-zA-Z0-9.-]+"),
        ("uri", r"[a-zA-Z]+:.+"),
        ("duration", r"P[0-9YMWDTHS]+"),
        ("unknown", r"(?s).*"),
    ],
)
def test_formats(form, pattern):
    """Text of a known format has its form; of one that is not known it is any text."""
    import re

    values = sample(values_of({"type": "string", "format": form}), 600)
    assert [value for value in values if not re.fullmatch(pattern, value)] == []


def test_format_with_a_length():
    """Length and format hold together."""
    values = sample(values_of({"type": "string", "format": "byte", "minLength": 8, "maxLength": 12}), 100)
    assert {len(value) for value in values} == {8, 12}


def test_nan_only_when_asked_for():
    """A schema has no NaN, for JSON has none, unless it is asked for."""
    assert "nan" not in set(map(repr, sample(values_of({"type": "number"}), 3000)))
    assert "nan" in set(map(repr, sample(values_of({"type": "number"}, nan=True), 3000)))


def test_unknown_values_in_a_schema():
    """Values that an enum does not have, and members that an object does not have, are drawn when asked for."""
    schema = {
        "type": "object",
        "properties": {"state": {"enum": ["open", "gone"]}},
        "required": ["state"],
        "additionalProperties": False,
    }
    values = sample(values_of(schema, unknown_enums=True, unknown_fields=True), 600)
    assert {"open", "gone", "open_LATER"} <= {value["state"] for value in values}
    assert {"STATE", "added_later"} <= {key for value in values for key in value}


def test_recursive_schema_is_bounded():
    """A recursive schema goes down into itself as often as it may."""

    def depth_of(value):
        return 1 + max(map(depth_of, value), default=0)

    for depth in (0, 2):
        values = sample(values_of({"type": "array", "items": {"$ref": "#"}}, depth=depth), 400)
        assert max(map(depth_of, values)) == depth + 1


def test_overrides_in_a_schema():
    """A strategy stands in for a place of a schema."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "integer"}}, "b": {"$ref": "#/$defs/b"}},
        "required": ["a", "b"],
        "$defs": {"b": {"type": "object", "properties": {"c": {"type": "string"}}, "required": ["c"]}},
    }
    values = sample(values_of(schema, overrides={"a[]": st.just(5), "b.c": st.just("x")}), 100)
    assert {one for value in values for one in value["a"]} == {5}
    assert {value["b"]["c"] for value in values} == {"x"}


@pytest.mark.parametrize(
    ("schema", "path", "words"),
    [
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 2}}}, "a", "no int"),
        ({"type": "number", "minimum": 3, "maximum": 2}, "", "no float"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "", "no length"),
        ({"allOf": [{"type": "integer"}, {"type": "string"}]}, "", "both of type"),
        ({"allOf": [{"enum": [1]}, {"enum": [2]}]}, "", "enum"),
        ({"enum": [1], "type": "string"}, "", "no value of the enum"),
        ({"allOf": [False]}, "", "false"),
        ({"properties": {"a": False}, "required": ["a"]}, "", "forbidden"),
        ({"type": "integer", "anyOf": [{"type": "string"}, False]}, "", "false"),
        ({"type": "object", "additionalProperties": False, "minProperties": 1}, "", "members"),
        ({"type": "object", "required": ["a", "b"], "maxProperties": 1}, "", "members"),
        ({"type": "array", "items": False, "minItems": 1}, "", "items"),
        ({"type": "array", "maxItems": 1, "contains": {"const": 1}, "minContains": 2}, "", "items"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/no"}}}, "$ref", "leads to nothing"),
        ({"$ref": "#nowhere"}, "$ref", "leads to nothing"),
        ({"$ref": "other.json#/a"}, "$ref", "leads to nothing"),
        ({"$ref": "#/anyOf/7", "anyOf": []}, "$ref", "leads to nothing"),
        ({"$ref": "#"}, "", "refers to itself"),
        ({"type": "text"}, "", "type 'text'"),
        ({"properties": {"a": {"anyOf": [{"type": "text"}]}}}, "a", "type 'text'"),
        ({"properties": {"a": 5}}, "a", "no schema"),
        ({"properties": {"a": {"$dynamicRef": "#a"}}}, "a", "$dynamicRef"),
        ({"properties": {"a": {"type": "string", "pattern": "("}}}, "pattern", "Python cannot read"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "a", "without end"),
        ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "", "without end"),
        ({"enum": [{1, 2}]}, "model", "JSON does not have"),
        ({"type": "integer", "minimum": "3"}, "model", "cannot be read"),
        ({"type": "object", "properties": ["a"]}, "model", "cannot be read"),
        ({"type": 5}, "model", "cannot be read"),
        ({"type": "number", "minimum": 10**400}, "model", "cannot be read"),
    ],
)
def test_bad_schema_is_named(schema, path, words):
    """A schema that has no values, or cannot be read, is refused with the place and what to do."""
    with pytest.raises(ConfigError) as caught:
        values_of(schema)
    assert words in str(caught.value)
    assert caught.value.field == path
    assert caught.value.remedy


def test_schema_nested_too_deeply():
    """A schema that is nested too deeply to be read is refused."""
    schema = {}
    for _ in range(3000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(ConfigError, match="nested too deeply"):
        values_of(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "boolean", "not": {"type": "boolean"}},
        {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 3},
        {"type": "string", "pattern": "^a$", "minLength": 5},
        {"type": "string", "format": "date", "minLength": 50},
        {"type": "object", "propertyNames": {"enum": ["a"]}, "minProperties": 2},
    ],
)
def test_impossible_schema_is_given_up(schema):
    """A schema whose contradiction shows only when values are drawn ends with an error."""
    with pytest.raises(ConfigError):
        sample(values_of(schema), 5)
