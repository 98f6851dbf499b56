"""`exact`: equal as a whole or not."""

from __future__ import annotations

from typing import Any

import pytest

from shadowmig.compare import exact


@pytest.mark.parametrize("value", [1, "a", b"a", None, float("nan"), [1], {"a": 1}])
def test_equal(value: Any) -> None:
    """Equal values of one type have no difference, ``NaN`` included."""
    assert not exact(control=value, candidate=value)
    assert not exact(control=float("nan"), candidate=float("nan"))
    assert not exact(control=b"ab", candidate=b"a" + b"b")


@pytest.mark.parametrize(
    ("control", "candidate", "kind"),
    [
        (1, 1.0, "type"),
        (1, True, "type"),
        ("a", b"a", "type"),
        ("a", "b", "changed"),
        ([1], [2], "changed"),
        (1.0, float("nan"), "changed"),
    ],
)
def test_different(control: Any, candidate: Any, kind: Any) -> None:
    """Others have one difference, at the root."""
    [one] = exact(control=control, candidate=candidate)
    assert (one.path, one.kind, one.control) == ("$", kind, control)
    assert one.candidate is candidate
