"""Redactors: no secret passes, nothing is changed in place, and hostile values end."""

import collections
import copy
import datetime as dt
import decimal
import enum
import types

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowmig.errors import ConfigError
from shadowmig.findings import hide_values, keep, mask, render, secrets
from shadowmig.model import MISSING, Raised

SECRET = "hunter2-S3cr3t"
KEYS = ["password", "api_key", "X-Api-Key", "apiKey", "userPasswordHash", "Authorization", "sessionid", "credit card",
        "SSN", "csrf_token", "Set-Cookie", "privateKey", "clientsecret", "card_number"]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


class Color(enum.Enum):
    """A choice."""

    RED = "red"


@attrs.define
class Thing:
    """An object with a slot."""

    inner: object


WRAPS = st.lists(
    st.sampled_from(
        [
            lambda value: [1, value, 2],
            lambda value: (value,),
            lambda value: {"x": value},
            lambda value: collections.deque([value]),
            Thing,
            lambda value: types.MappingProxyType({1: value}),
            ValueError,
        ]
    ),
    max_size=4,
)


class Account:
    """A plain object with a secret, a property that must not run, and a repr that must not either."""

    def __init__(self):
        self.name = "n"
        self.password = SECRET

    @property
    def lazy(self):
        raise AssertionError("a property ran")

    def __repr__(self):
        raise AssertionError("repr ran")


class Tuple(collections.namedtuple("Tuple", "id token")):
    """A named tuple with a secret."""


class Hashable(dict):
    """A dict that can be an element of a set."""

    __hash__ = object.__hash__


class Opaque:
    """An object that stores nothing we can see, and prints a secret."""

    __slots__ = ()

    def __repr__(self):
        return f"Opaque(password={SECRET})"


@pytest.mark.parametrize("key", KEYS)
@settings(settings.get_profile("slow"))
@given(wraps=WRAPS, inner=st.sampled_from([SECRET, SECRET.encode(), [SECRET], {"x": SECRET}, Thing(SECRET)]))
def test_nothing_under_a_secret_key_passes(key, wraps, inner):
    """Whatever lies under a secret name, however deep, is not in what people read."""
    value = {key: inner}
    for wrap in wraps:
        value = wrap(value)
    assert "hunter2" not in render(secrets(value, path="$"), 5000)
    assert "hunter2" not in render(secrets(inner, path=f"$.a['{key}'][0].b"), 5000)


@pytest.mark.parametrize(
    "text",
    [
        f"Bearer {SECRET}",
        "Authorization: Basic dXNlcjpodW50ZXIyhunter2",
        f"cannot connect to postgres://app:{SECRET}@db/x",
        f"redis://:{SECRET}@h:1/0",
        f"postgres://app:{SECRET}",
        f"password={SECRET} host=db",
        f"password='{SECRET} {SECRET}'",
        f'{{"token": "{SECRET}"}}',
        f'{{\\"token\\": \\"{SECRET}\\"}}',
        f"?access_token={SECRET}&x=1",
        f"Cookie: a=b; sid={SECRET}\nnext",
        "eyJhbGciOiJI.hunter2hunter2.hunter2",
    ],
)
def test_secrets_in_text(text):
    """Credentials inside text, as exceptions and headers have them, are masked; the rest is not."""
    assert "hunter2" not in secrets(text, path="$error")
    assert b"hunter2" not in secrets(text.encode(), path="$")
    assert "hunter2" not in render(secrets(Raised("E", text), path="$"))
    assert list(secrets({text: 1}, path="$")) == [secrets(text, path="$")]


@pytest.mark.parametrize(
    "text",
    ["http://h:8080/users/@me", "http://h:80", "a basic example", "Author: me", "the tokens, all", "x@y.z", "a:b"],
)
def test_innocent_text(text):
    """Text without a secret is left alone."""
    assert secrets(text, path="$.body") == text


@pytest.mark.parametrize(
    "value", [1, 1.5, None, True, dt.date(2020, 1, 1), decimal.Decimal("1.10"), Color.RED, int, MISSING]
)
def test_plain_values_stay(value):
    """Values without parts and without secrets come back as they are."""
    assert secrets(value, path="$") is value


def test_none_and_truth_stay_under_secret_names():
    """None, true and false tell no secret, and whether they differ may be the bug."""
    assert secrets({"password": None, "token": True}, path="$") == {"password": None, "token": True}


@pytest.mark.parametrize("redact", [secrets, hide_values, mask("a", "$.b[*].*"), mask("a", base=keep)])
@given(value=VALUES)
def test_the_value_is_not_changed(redact, value):
    """The value given stays as it was."""
    before = copy.deepcopy(value)
    redact(value, path="$")
    assert value == before


@given(VALUES)
def test_secrets_twice(value):
    """Masking what is masked changes nothing."""
    once = secrets(value, path="$")
    assert secrets(once, path="$") == once


def test_objects_are_looked_into_not_asked():
    """Objects show their attributes, without a property or repr being run."""
    text = render(
        secrets([Account(), Tuple(1, SECRET), Thing(Account()), {Account(): 1}, {Tuple(1, SECRET)}], path="$")
    )
    assert "Account(name='n', password='<masked>')" in text
    assert "Tuple(id=1, token='<masked>')" in text
    assert "hunter2" not in text


def test_opaque_objects_show_masked_text():
    """What only its repr tells of is masked as text."""
    assert render(secrets(Opaque(), path="$")) == "Opaque(password=<masked>)"


def test_pairs():
    """The second of a pair goes by the first, as in headers."""
    assert secrets([("Authorization", SECRET), ("a", "b")], path="$") == [("Authorization", "<masked>"), ("a", "b")]
    assert secrets({b"token": b"x"}, path="$") == {b"token": "<masked>"}


@pytest.mark.parametrize("redact", [secrets, hide_values, mask("a")])
def test_cycles_and_depth_end(redact):
    """Cyclic and endless values come back with a note."""
    cycle = {}
    cycle["self"] = [cycle]
    assert redact(cycle, path="$") == {"self": ["<cycle>"]}
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert "below 64 levels" in repr(redact(deep, path="$"))


def test_large_values_are_cut():
    """Beyond its limits a redactor says what it left out."""
    assert "more elements" in secrets(list(range(10**6)), path="$")[-1]
    assert "not looked into" in secrets(dict.fromkeys(range(10**5), 1), path="$").popitem()[1]
    assert secrets("x" * 10**6, path="$").endswith("+934464 characters")
    cut_in_two = "x" * 65_530 + f" postgres://u:{SECRET}@h"
    assert "hunter2" not in secrets(cut_in_two, path="$")


def test_keys_that_become_equal_stay_apart():
    """Two keys that look the same once redacted are both kept."""
    assert len(secrets({"Bearer abc": 1, "Bearer abd": 2}, path="$")) == 2


def test_unhashable_once_redacted():
    """Elements of sets and keys stay usable when redaction made them something unhashable."""
    value = [{Hashable(a=1)}, {(1, Hashable(token=2)): 3}]
    assert render(secrets(value, path="$")) == "[{(value={'a': 1})}, {(value=(1, {'token': '<masked>'})): 3}]"


@given(VALUES)
def test_hide_values_hides_all(value):
    """No leaf is left under `hide_values`."""

    def leaves(value):
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        if isinstance(value, (list, tuple)):
            return [leaf for item in value for leaf in leaves(item)]
        return [value]

    assert all(isinstance(leaf, str) and leaf.startswith("<") for leaf in leaves(hide_values(value, path="$")))


def test_hide_values_tells_type_and_size():
    """What is told of a leaf is its type and, for text and bytes, its length; odd keys are hidden too."""
    value = {"name": "bob", "data": b"12", "n": 5, "x": None, "a@b.c": 1, 7: [Opaque()]}
    assert hide_values(value, path="$") == {
        "name": "<str 3>",
        "data": "<bytes 2>",
        "n": "<int>",
        "x": "<NoneType>",
        "<str 5>": "<int>",
        "<int>": ["<Opaque>"],
    }


def test_keep():
    """`keep` hides nothing."""
    assert keep(SECRET, path="$.password") == SECRET


def test_mask_by_key_and_path():
    """Masked is what was named, by key at any depth or by path, and what the base masks."""
    redact = mask("email", "$.items[*].price", "$.*.deep", "$arguments.body")
    value = {"a": {"EMAIL": "x", "deep": 1}, "items": [{"price": 1, "name": "y"}], "deep": 2, "token": "z"}
    assert redact(value, path="$") == {
        "a": {"EMAIL": "<masked>", "deep": "<masked>"},
        "items": [{"price": "<masked>", "name": "y"}],
        "deep": 2,
        "token": "<masked>",
    }
    assert redact(1, path="$.items[7].price") == "<masked>"
    assert redact({"x": 1}, path="$.items[7].price.amount") == "<masked>"
    assert redact("b", path="$arguments.body") == "<masked>"
    assert redact("b", path="$.body") == "b"
    assert mask("email", base=keep)({"token": "z", "email": None}, path="$") == {"token": "z", "email": "<masked>"}


@pytest.mark.parametrize("names", [(), ("",), (3,)])
def test_mask_refuses_nonsense(names):
    """A name that is none is refused when the redactor is built."""
    with pytest.raises(ConfigError, match="names must be"):
        mask(*names)
