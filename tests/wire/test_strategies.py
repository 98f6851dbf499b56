"""Strategies of single values and documents, and samples of any strategy."""

import math
import subprocess
import sys
import textwrap
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from shadowmig.errors import ConfigError
from shadowmig.wire import strategies
from shadowmig.wire.strategies import binaries, floats, integers, json_values, sample, stream, texts, times, values_of

QUICK = settings(database=None, max_examples=2000, deadline=None)


@attrs.frozen
class Point:
    """A class whose values are told apart by their fields, also by one that it does not show."""

    x: int
    y: str = attrs.field(repr=False)


@pytest.mark.parametrize(
    ("strategy", "check"),
    [
        (integers(bits=8), lambda value: -128 <= value <= 127),
        (integers(bits=16, signed=False), lambda value: 0 <= value < 65536),
        (integers(low=5), lambda value: value >= 5),
        (integers(high=-(2**70)), lambda value: value <= -(2**70)),
        (integers(bits=8, low=100, high=1000), lambda value: 100 <= value <= 127),
        (floats(low=0.5, high=0.75), lambda value: 0.5 <= value <= 0.75),
        (floats(low=1.0), lambda value: value >= 1.0),
        (floats(high=-1e300, nan=False), lambda value: -math.inf < value <= -1e300),
        (floats(low=1e308, high=1.7976931348623157e308), lambda value: value >= 1e308),
        (floats(bits=32, low=0.1, high=0.3), lambda value: 0.1 <= value <= 0.3),
        (floats(bits=32, low=-0.3, high=1e-50), lambda value: -0.3 <= value <= 1e-50),
        (texts(min_size=3, max_size=5), lambda value: 3 <= len(value) <= 5),
        (texts(min_size=100), lambda value: len(value) >= 100),
        (texts(max_size=0), lambda value: value == ""),
        (texts(longest=0), lambda value: len(value) <= 300),
        (binaries(min_size=40, max_size=50), lambda value: 40 <= len(value) <= 50),
        (binaries(max_size=0), lambda value: value == b""),
        (times(low=datetime(2024, 1, 1, tzinfo=UTC)), lambda value: value >= datetime(2024, 1, 1, tzinfo=UTC)),
        (
            times(low=datetime(2024, 1, 1, 0, 0, 0, 5, tzinfo=UTC), high=datetime(2024, 1, 1, 0, 0, 0, 9, tzinfo=UTC)),
            lambda value: value.microsecond in range(5, 10),
        ),
        (times(zones=False), lambda value: value.tzinfo is UTC),
        (times(), lambda value: value.tzinfo is not None and isinstance(value, datetime)),
    ],
)
def test_bounds_hold(strategy, check):
    """What is drawn lies within the bounds, by both ways of drawing."""
    values = sample(strategy, 300, seed=1)
    assert values
    assert [value for value in values if not check(value)] == []

    @settings(QUICK, max_examples=40)
    @given(strategy)
    def holds(value):
        assert check(value)

    holds()


@pytest.mark.parametrize(
    "make",
    [
        lambda: integers(low=3, high=2),
        lambda: integers(bits=0),
        lambda: integers(bits=8, low=200),
        lambda: floats(low=2.0, high=1.0),
        lambda: floats(bits=16),
        lambda: floats(bits=32, low=1e-50, high=2e-50),
        lambda: texts(min_size=2, max_size=1),
        lambda: binaries(min_size=2, max_size=1),
        lambda: times(low=datetime(2024, 1, 2, tzinfo=UTC), high=datetime(2024, 1, 1, tzinfo=UTC)),
        lambda: json_values(depth=-1),
        lambda: json_values(longest="long"),
        lambda: values_of(int, enums="letters"),
        lambda: sample(integers(), -1),
        lambda: sample(integers(), 1.5),
        lambda: sample(integers(), 10**30),
        lambda: stream(integers(), "seed"),
    ],
)
def test_wrong_option_is_refused(make):
    """An option out of range is named when the strategy is built."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.field
    assert caught.value.remedy


@pytest.mark.parametrize("strategy", [json_values(nan=True), values_of(Point), st.lists(st.integers())])
def test_same_seed_gives_the_same_values(strategy):
    """A sample is the same for the same seed, and another for another one."""
    assert repr(sample(strategy, 50, seed=3)) == repr(sample(strategy, 50, seed=3))
    assert repr(sample(strategy, 50, seed=3)) != repr(sample(strategy, 50, seed=4))


def test_same_seed_in_another_process():
    """A sample does not depend on the hash seed of the process."""
    program = textwrap.dedent("""
        from typing import Annotated, Any
        from shadowmig.wire.strategies import sample, values_of
        model = dict[str, set[str] | frozenset[int] | list[Any]]
        print(ascii([[sorted(map(repr, one)) for one in value.values()] for value in sample(values_of(model), 300)]))
    """)
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_values_of_a_sample_differ():
    """No two values are alike, and values of another type or with a hidden field are not."""
    assert len(sample(values_of(Point), 3000)) == 3000
    assert sorted(map(repr, sample(values_of(bool | None), 1000))) == ["False", "None", "True"]
    found = sample(st.sampled_from([1, 1.0, True, "1", b"1", 0.0, -0.0, [1], (1,)]), 100)
    assert sorted(map(repr, found)) == sorted(map(repr, [1, 1.0, True, "1", b"1", 0.0, -0.0, [1], (1,)]))


def test_fold_tells_moments_apart():
    """Two moments that differ in the fold only are two values."""
    moment = datetime(2024, 10, 27, 2, 30, tzinfo=UTC)
    assert len(sample(st.sampled_from([moment, moment.replace(fold=1), {moment}, {moment: moment}]), 10)) == 4


@pytest.mark.parametrize("strategy", [texts(), st.lists(st.integers())])
def test_stream_gives_what_a_sample_gives(strategy):
    """Values drawn one by one are those of a sample, also beyond one run of hypothesis."""
    values = stream(strategy, 5)
    found = [next(values) for _ in range(250)]
    assert found == sample(strategy, 250, seed=5)
    assert len(set(map(repr, found))) == 250


def test_own_strategies_inside_a_model_are_drawn_as_such():
    """A strategy from here that overrides a part of a model has as many values there as elsewhere."""
    values = sample(values_of(Point, overrides={"x": integers(bits=64)}), 3000)
    assert len({value.x for value in values}) > 1500


def test_sample_of_nothing_is_empty():
    """No values are asked for, none are given."""
    assert sample(integers(), 0) == []


def test_sample_of_a_strategy_without_values():
    """A strategy that gives nothing is named."""
    with pytest.raises(ConfigError, match="gives no values"):
        sample(st.integers().filter(lambda _: False), 5)


def test_sample_inside_a_test():
    """A sample can be drawn while hypothesis runs a test."""

    @settings(QUICK, max_examples=3)
    @given(st.integers(0, 9))
    def inside(seed):
        assert len(sample(values_of(Point), 20, seed)) == 20

    inside()


def test_many_values():
    """Twenty thousand values of a small model are all different."""

    @attrs.frozen
    class Comment:
        id: int
        body: str
        at: datetime
        tags: list[str] = attrs.field(factory=list)
        parent: int | None = None

    assert len(sample(values_of(Comment), 20_000, seed=1)) == 20_000


@pytest.mark.parametrize(
    ("strategy", "fault", "smallest"),
    [
        (integers(), lambda value: value > 2**53, 2**53 + 1),
        (values_of(dict[str, list[int]]), lambda value: 2 in map(len, value.values()), {"": [0, 0]}),
        (texts(), lambda value: "&" in value, "&"),
    ],
)
def test_hypothesis_shrinks(strategy, fault, smallest):
    """Hypothesis finds a fault and shrinks it to a value of the smallest size that has it."""
    found = find(strategy, fault, settings=settings(QUICK, phases=[Phase.generate, Phase.shrink]))
    assert fault(found)
    assert len(repr(found)) <= len(repr(smallest)) + 4


def test_strategy_names_its_model():
    """What people see of a strategy is the name of its model, not all that it is made of."""
    assert repr(values_of(Point)) == "_drawn(values_of(Point))"


def test_strategies_can_be_combined():
    """A strategy from here is one of hypothesis, to be mapped, filtered and put into others."""
    found = sample(st.tuples(integers(bits=8).map(abs), texts().filter(bool)), 30)
    assert all(0 <= number <= 128 and text for number, text in found)


def test_deep_documents_are_bounded():
    """A document is nested as deep as it may be, but for the rare ones that are nested sixty deep."""

    def depth_of(value):
        inner = list(value.values()) if isinstance(value, dict) else value
        return 1 + max(map(depth_of, inner), default=0) if isinstance(inner, list) else 0

    depths = {depth_of(value) for value in sample(json_values(depth=2, longest=0), 3000)}
    assert depths & {0, 1, 2} == {0, 1, 2}
    assert max(depth for depth in depths if depth < 60) <= 3
    assert max(depths) <= 63


def test_document_without_recursion():
    """With no depth there are single values and empty ones, but for the rare deep ones."""
    found = [value for value in sample(json_values(depth=0), 500) if isinstance(value, list | dict)]
    assert found
    assert all(not value or repr(value).count("[") + repr(value).count("{") >= 60 for value in found)


def test_module_lists_what_is_public():
    """Whatever the module lists is there and has a docstring."""
    assert all(getattr(strategies, name).__doc__ for name in strategies.__all__)


def test_without_hypothesis_the_extra_is_named():
    """Without the package the import fails with the name of the extra; other rooms are not concerned."""
    program = textwrap.dedent("""
        import sys
        sys.modules["hypothesis"] = None
        import shadowmig.wire, shadowmig.wire.codecs
        from shadowmig.errors import ConfigError
        try:
            import shadowmig.wire.strategies
        except ConfigError as error:
            print(error.remedy)
    """)
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True)
    assert "shadowmig[hypothesis]" in done.stdout


def test_only_strategies_are_drawn_from():
    """What is no strategy is refused by name."""
    with pytest.raises(ConfigError, match="strategy is 5"):
        sample(5, 1)
