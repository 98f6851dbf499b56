"""Rules: what they report about themselves, expiry, order of preference."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from shadowmig.compare import Rule, _states, structural
from shadowmig.model import MISSING, RuleUse
from shadowmig.protocols import HasRules


def _uses(compare: Any) -> dict[str, int]:
    return {use.rule: use.used for use in compare.rules()}


def test_uses_are_counted() -> None:
    """Each rule counts the differences it took care of, in the order given; unused ones count none."""
    compare = structural(
        ignore=["$.a", Rule("$.never", reason="old")],
        unordered={"$.k": "id", "$.m": None},
        tolerance={"$.f": 0.1},
        timestamps=["$.t"],
        numeric_strings=["$.n"],
        mask={"$.x": "string"},
        missing_is_null=True,
        numbers="value",
    )
    assert isinstance(compare, HasRules)
    compare(
        control={"a": 1, "k": [{"id": 1}, {"id": 2}], "m": [1, 2], "f": 1.0, "t": "2026-01-01T00:00:00Z", "n": 1,
                 "x": "p", "z": None, "v": 1},
        candidate={"a": 2, "k": [{"id": 2}, {"id": 1}], "m": [2, 1], "f": 1.05, "t": "2026-01-01T01:00:00+01:00",
                   "n": "1", "x": "q", "v": 1.0},
    )  # fmt: skip
    assert _uses(compare) == {
        "$.a": 1, "$.never": 0, "unordered $.k by id": 1, "unordered $.m": 1, "tolerance $.f": 1, "timestamps $.t": 1,
        "missing_is_null everywhere": 1, "numeric_strings $.n": 1, "mask $.x (string)": 1, "numbers=value": 3,
    }  # fmt: skip
    assert compare.rules()[1] == RuleUse("$.never", 0, "old")


def test_equal_values_use_no_rule() -> None:
    """A pair that is strictly equal counts for no rule."""
    compare = structural(ignore=["$.a"], unordered=True, mask={"$.b": int}, numbers="value")
    compare(control={"a": [1, 2], "b": 1}, candidate={"a": [1, 2], "b": 1})
    assert set(_uses(compare).values()) == {0}


def test_global_options_are_rules() -> None:
    """Options that hold everywhere are listed by name and value, and count."""
    compare = structural(
        unicode="NFC", text_bytes="utf8", datetimes="instant", signed_zero="same", sequences="any", dict_types="any"
    )
    compare(control={"a": b"x", b"k": 1, "caf\u00e9": 1}, candidate={"a": "x", "k": 1, "cafe\u0301": 1})
    uses = _uses(compare)
    assert list(uses) == [
        "unicode=NFC", "text_bytes=utf8", "sequences=any", "dict_types=any", "signed_zero=same", "datetimes=instant"
    ]  # fmt: skip
    assert (uses["text_bytes=utf8"], uses["unicode=NFC"]) == (2, 1)


def test_ignored_differences_name_their_rule() -> None:
    """An ignored difference carries the first rule given that covers it."""
    found = structural(ignore=["$.a.b", "$.a"])(control={"a": {"b": 1, "c": 1}}, candidate={"a": {"b": 2, "c": 2}})
    assert {one.path: one.rule for one in found.ignored} == {"$.a.b": "$.a.b", "$.a.c": "$.a"}
    found = structural(only=["$.x"])(control={"a": 1}, candidate={"a": 2})
    assert [one.rule for one in found.ignored] == ["only"]


def test_only_counts_as_one_rule() -> None:
    """All paths of ``only`` are one rule, which counts what it leaves out."""
    compare = structural(only=["$.x", Rule("$.y")])  # type: ignore[list-item]  # a rule works there too
    compare(control={"a": 1, "b": 1}, candidate={"a": 2, "b": 2})
    assert _uses(compare) == {"only $.x, $.y": 2}


def test_expired_rules_no_longer_ignore() -> None:
    """After its last day a rule's differences count, say so, and the rule is reported as expired."""
    gone = date(2020, 1, 1)
    compare = structural(ignore=[Rule("$.a", expires=gone), Rule("$.b", expires=date.max)])
    found = compare(control={"a": {"x": 1}, "b": 1}, candidate={"a": {"x": 2}, "b": 2})
    assert [(one.path, one.note) for one in found] == [("$.a.x", f"the rule $.a expired on {gone}")]
    assert [one.path for one in found.ignored] == ["$.b"]
    assert [(use.used, use.expired) for use in compare.rules()] == [(0, True), (1, False)]


def test_a_live_rule_beside_an_expired_one() -> None:
    """Where another rule still ignores, nothing counts."""
    found = structural(ignore=[Rule("$.a", expires=date(2020, 1, 1)), "$.*"])(control={"a": 1}, candidate={"a": 2})
    assert (list(found), [one.rule for one in found.ignored]) == ([], ["$.*"])


def test_rules_expire_while_the_service_runs(monkeypatch: Any) -> None:
    """A rule holds to the end of its last day, which is looked at in each comparison, not when the rule is built."""
    now = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now.astimezone(tz)

    monkeypatch.setattr(_states, "datetime", Clock)
    compare = structural(ignore=[Rule("$.a", expires=date(2026, 3, 1))])
    assert not compare(control={"a": 1}, candidate={"a": 2})
    now += timedelta(seconds=1)
    assert compare(control={"a": 1}, candidate={"a": 2})


def test_later_rule_of_one_option_holds() -> None:
    """Of two rules of one option for one place the later one holds."""
    compare = structural(timestamps={"$..t": "ns", "$.t": "s"})
    assert not compare(control={"t": "2026-01-01T00:00:00.5Z"}, candidate={"t": "2026-01-01T00:00:00Z"})


def test_values_in_differences() -> None:
    """A difference carries both values, and `MISSING` where there is none."""
    [changed, missing, unexpected] = structural()(control={"a": 1, "b": [2]}, candidate={"a": 3, "c": [4]})
    assert (changed.control, changed.candidate) == (1, 3)
    assert (missing.control, missing.candidate) == ([2], MISSING)
    assert (unexpected.control, unexpected.candidate) == (MISSING, [4])
    [order] = structural()(control={"x": (1, 2)}, candidate={"x": (2, 1)})
    assert (order.control, order.candidate) == ((1, 2), (2, 1))


def test_duplicates_of_a_key_are_numbered() -> None:
    """Second and later elements with one key say which they are."""
    found = structural(unordered={"$": "id"})(control=[{"id": 1}] * 3, candidate=[{"id": 1}])
    assert [one.note for one in found] == ["occurrence 2 of this key", "occurrence 3 of this key"]


def test_relation_note() -> None:
    """A broken relation says on which side it held."""
    compare = structural(ignore=["$.*"], relations=["$.a == $.b", "$.a < $.c"])
    [one] = compare(control={"a": 1, "b": 1, "c": "x"}, candidate={"a": 1, "b": 2, "c": "y"})
    assert one.note == "the relation $.a == $.b holds for control only"
    assert _uses(compare) == {"$.*": 2, "relation $.a == $.b": 1, "relation $.a < $.c": 0}


def test_order_is_only_seen_where_differences_count() -> None:
    """A permuted list inside a permuted list is one difference, the outer one."""
    found = structural()(control=[[1, 2], [3, 4], {"a": 1}], candidate=[[3, 4], [1, 2], {"a": 2}])
    assert ("$", "order") not in [(one.path, one.kind) for one in found]
    found = structural()(control={"x": [[1, 2], [3]], "y": 1}, candidate={"x": [[3], [1, 2]], "y": 2})
    assert sorted((one.path, one.kind) for one in found) == [("$.x", "order"), ("$.y", "changed")]


def test_many_rules() -> None:
    """Hundreds of rules still find their places."""
    rules = [f"$..k{n}.x[{n}]" for n in range(300)]
    found = structural(ignore=rules)(
        control={"a": {"k7": {"x": [0] * 8}, "k8": {"x": [0] * 8}}},
        candidate={"a": {"k7": {"x": [0] * 7 + [1]}, "k8": {"x": [0] * 7 + [1]}}},
    )
    assert ([one.path for one in found], [one.path for one in found.ignored]) == (["$.a.k8.x[7]"], ["$.a.k7.x[7]"])
