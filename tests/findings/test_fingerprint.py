"""Fingerprints: the same kind of mismatch has the same one, everywhere, whatever record it was seen on."""

import os
import string
import subprocess
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.findings import fingerprint, fold, type_name
from shadowmig.model import KINDS, MISSING, Difference, Raised

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
FIELD = st.sampled_from(["$", ".name", ".items", "['other key']", "['it\\'s']", ".a-b"])
INDEX = st.one_of(
    st.integers(0, 10**9).map(lambda n: f"[{n}]"),
    st.integers().map(lambda n: f"[id={n}]"),
    st.text(string.ascii_letters + "]. ", max_size=8).map(lambda key: f"[id='{key}']"),
    st.sampled_from(["[True]", "[None]", "[1.5]"]),
)
ID = st.one_of(
    st.integers(0).map(str),
    st.uuids().map(str),
    st.uuids().map(lambda u: u.hex + "0"),
    st.integers(0).map(lambda n: f"comment:{n}"),
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", "$"),
        ("", ""),
        ("not a path", "not a path"),
        ("$.a[3].b", "$.a[*].b"),
        ("$.a[id=2][id='x]y'][True]", "$.a[*][*][*]"),
        ("$['other key'].x", "$['other key'].x"),
        ("$['12345']", "$.*"),
        ('$["12345"]', "$.*"),
        ("$.12345.x", "$.*.x"),
        ("$.-5", "$.*"),
        ("$.550e8400-e29b-41d4-a716-446655440000", "$.*"),
        ("$.deadbeef1", "$.*"),
        ("$.DEADBEEF1", "$.*"),
        ("$.deadbeef", "$.deadbeef"),
        ("$.abc1", "$.abc1"),
        ("$.comment:12", "$.*"),
        ("$['user:comment:12']", "$.*"),
        ("$.comment:x", "$.comment:x"),
        ("$['it\\'s'].x", "$['it\\'s'].x"),
        ("$['torn", "$[*]"),
        ("$[", "$[*]"),
        ("$..", "$.."),
        ("rows[0].x", "rows[*].x"),
    ],
)
def test_fold(path, expected):
    """Folding takes indices and ids out of a path, and leaves names."""
    assert fold(path) == expected


@given(ANY_TEXT | st.text("$.[]'\"\\=ax1 ", max_size=60))
def test_fold_takes_anything(path):
    """Folding takes any text, and folding again changes nothing."""
    assert fold(fold(path)) == fold(path)


@pytest.mark.parametrize("piece", ["['", "[", '["', "['\\", ".", "['a'x", "[id='"])
def test_fold_is_linear(piece):
    """Hostile text of a megabyte folds; a quadratic way would not come back."""
    fold(piece * (1_000_000 // len(piece)))


@given(st.lists(FIELD | st.tuples(INDEX, INDEX) | st.tuples(ID, ID)), st.sampled_from(KINDS))
def test_records_do_not_matter(steps, kind):
    """Two paths that differ in positions and ids only have one fingerprint."""
    one, two = (
        "$"
        + "".join(
            step if isinstance(step, str) else (step[side] if step[side].startswith("[") else f"['{step[side]}']")
            for step in steps
        )
        for side in (0, 1)
    )
    assert fold(one) == fold(two)
    assert fingerprint("e", Difference(one, kind, 1, 2)) == fingerprint("e", Difference(two, kind, 3, 4))


@given(ANY_TEXT, ANY_TEXT)
def test_always_sixteen_hex_digits(experiment, path):
    """Any names, lone surrogates included, give 16 hex digits."""
    mark = fingerprint(experiment, Difference(path, "changed"))
    assert len(mark) == 16
    assert set(mark) <= set("0123456789abcdef")


def test_what_matters():
    """Experiment, folded path, kind and both types each make another fingerprint; values do not."""
    base = fingerprint("e", Difference("$.a", "changed", 1, 2))
    others = {
        fingerprint("f", Difference("$.a", "changed", 1, 2)),
        fingerprint("e", Difference("$.b", "changed", 1, 2)),
        fingerprint("e", Difference("$.a", "type", 1, 2)),
        fingerprint("e", Difference("$.a", "changed", "1", 2)),
        fingerprint("e", Difference("$.a", "changed", 1, "2")),
        fingerprint("e", Difference("$.a", "changed", 1)),
        fingerprint("e$", Difference(".a", "changed", 1, 2)),
    }
    assert len(others | {base}) == 8
    assert fingerprint("e", Difference("$.a", "changed", 100, -2)) == base


def test_stable_across_processes_and_versions():
    """The value is pinned: another process with another hash seed, and a later release, give the same."""
    expected = "6f14b3ebfa356381"
    difference = "Difference('$.items[0].id', 'changed', 1, 'x')"
    code = "from shadowmig.findings import fingerprint; from shadowmig.model import *; "
    code += f"print(fingerprint('get', {difference}))"
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == expected
    assert fingerprint("get", Difference("$.items[4].id", "changed", 1, "x")) == expected


def test_raised_goes_by_its_class():
    """Two messages of one exception class are the same kind; two classes are not."""
    one, two, other = (Raised("m.E", "a"), Raised("m.E", "b"), Raised("m.F", "a"))
    marks = [fingerprint("e", Difference("$", "raised", 1, raised)) for raised in (one, two, other)]
    assert marks[0] == marks[1] != marks[2]


def test_long_paths():
    """A path too long for the cache has a fingerprint by the same rule."""
    marks = {fingerprint("e", Difference("$" + f"[{n}]" * 500, "changed")) for n in (1, 22)}
    assert len(marks) == 1


class Meta(type):
    """A metaclass whose property fails."""

    @property
    def __module__(cls):
        raise RuntimeError


class Hostile(metaclass=Meta):
    """Built by it."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "int"),
        (None, "NoneType"),
        (MISSING, "missing"),
        (Raised("builtins.KeyError", "x"), "builtins.KeyError"),
        (uuid.UUID(int=1), "uuid.UUID"),
    ],
)
def test_type_name(value, expected):
    """Builtins go by their name, others by module and name."""
    assert type_name(value) == expected


def test_type_name_of_hostile_class():
    """A metaclass that fails does not matter."""
    assert type_name(Hostile()).endswith("Hostile")


def test_type_name_without_module():
    """A class whose module is no text goes by its bare name."""
    assert type_name(type("Odd", (), {"__module__": 3})()) == "Odd"
