"""Limits and pauses."""

from __future__ import annotations

import pytest

from shadowmig.compare._keys import PLAIN_SIZES, plain_keys
from shadowmig.compare._pace import PAUSE, STEP, Pace
from shadowmig.errors import CompareTimeout


class Key(str):
    pass


def test_nodes_and_seconds_are_limited() -> None:
    """Past either limit a tick raises, saying which."""
    with pytest.raises(CompareTimeout, match="512 values"):
        [*Pace(5, 2 * STEP).through(range(3 * STEP + 9))]
    pace = Pace(0.0, 10**9)
    with pytest.raises(CompareTimeout, match="CPU"):
        [*pace.through(range(10**6))]


def test_pause_is_called() -> None:
    """The pause of the context is called at every tick, and none elsewhere."""
    calls: list[int] = []
    token = PAUSE.set(lambda: calls.append(1))
    try:
        assert [*Pace(5, 10**6).through(range(10 * STEP))] == [*range(10 * STEP)]
    finally:
        PAUSE.reset(token)
    assert 8 <= len(calls) <= 10
    Pace(5, 10**6).tick()
    assert 8 <= len(calls) <= 10


@pytest.mark.parametrize("count", [*range(1, 40), 100, 683, 10_000])
def test_plain_keys_are_told_from_the_size(count: int) -> None:
    """On this interpreter dicts of plain text keys are told by their size, and no other dict is."""
    assert PLAIN_SIZES
    plain = {str(n): n for n in range(count)}
    copies = [plain, dict(plain), {**plain}, dict.fromkeys(plain), dict(list(plain.items())), plain | plain]
    assert all(plain_keys(one) for one in copies)
    for other in ({n: n for n in range(count)}, {Key(n): n for n in range(count)}, {**plain, Key("x"): 1}):
        assert other.__sizeof__() not in PLAIN_SIZES
        assert not plain_keys(other)
    shrunk = {**plain, 1: 1}
    del shrunk[1]
    assert plain_keys(shrunk)
