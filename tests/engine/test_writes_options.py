"""The options of a write experiment: what is refused when it is built, and what each function of the user's may do."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from writes_support import MODES, PATIENT, QUICK, World, bench, counted, errors, migration, once

from shadowmig import Migration, Verdict, exact, fraction, sticky
from shadowmig.engine import Breaker
from shadowmig.engine.write_options import WriteArguments, write_options
from shadowmig.errors import ConfigError, HandlerError, ShadowmigError
from shadowmig.model import Ref


def touch(call: Any) -> list[Ref]:
    """Touch nothing."""
    return []


def same(x: Any) -> Any:
    """Be a side."""
    return x


# When it is built -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "touches"),
        ({"touches": None}, "touches"),
        ({"touches": []}, "touches"),
        ({"touches": touch, "hydrate": [1]}, "hydrate"),
        ({"touches": touch, "carry": {"a": 1}}, "carry"),
        ({"touches": touch, "version": "version"}, "version"),
        ({"touches": touch, "effect": "both"}, "effect"),
        ({"touches": touch, "effect": None}, "effect"),
        ({"touches": touch, "generated": "$.id"}, "generated"),
        ({"touches": touch, "generated": ["id"]}, "generated"),
        ({"touches": touch, "settle": 0}, "settle"),
        ({"touches": touch, "settle": -1}, "settle"),
        ({"touches": touch, "settle": float("inf")}, "settle"),
        ({"touches": touch, "settle": True}, "settle"),
        ({"touches": touch, "hydrate_timeout": "50ms"}, "hydrate_timeout"),
        ({"touches": touch, "hydrate_timeout": float("nan")}, "hydrate_timeout"),
        ({"touches": touch, "key": "number"}, "key"),
        ({"touches": touch, "compare": 5}, "compare"),
        ({"touches": touch, "errors": "exactly"}, "errors"),
        ({"touches": touch, "share": "x"}, "share"),
        ({"touches": touch, "deadline": 0}, "deadline"),
        ({"touches": touch, "breaker": 0.5}, "breaker"),
        ({"touches": touch, "stage": "beta"}, "stage"),
        ({"touches": touch, "confirm": True}, "confirm"),
        ({"touches": touch, "hydrates": touch}, "hydrates"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], field: str) -> None:
    """A wrong option is refused when the experiment is built, by its name and with a remedy."""
    with migration() as made:
        with pytest.raises(ConfigError) as caught:
            made.write(same, candidate=same, **options)
        assert caught.value.field == field
        assert caught.value.remedy
        assert made.experiments == {}


def test_defaults() -> None:
    """What is left out has the documented defaults."""
    options = write_options({"touches": touch}, sample=fraction(0.5))
    assert (options.hydrate, options.carry, options.change, options.generated) == (None, None, None, ())
    assert (options.counter, options.effect, options.settle, options.hydrate_timeout) == (True, "state", 1.0, 0.05)
    assert options.confirm is False


def test_durations_may_be_timedeltas() -> None:
    """Durations are seconds or timedeltas."""
    given: WriteArguments = {
        "touches": touch,
        "settle": timedelta(milliseconds=1500),
        "hydrate_timeout": timedelta(milliseconds=20),
        "deadline": timedelta(seconds=3),
    }
    options = write_options(given, sample=fraction(1.0))
    assert (options.settle, options.hydrate_timeout, options.deadline) == (1.5, 0.02, 3.0)


def test_all_options_are_documented() -> None:
    """Every option has its line in the docstring of ``Migration.write``, and no other has."""
    text = inspect.getdoc(Migration.write) or ""
    arguments = text.partition("Args:")[2].partition("Returns:")[0]
    lines = [line for line in arguments.splitlines() if line.startswith("    ") and line[4] != " "]
    told = {line.strip().partition(":")[0] for line in lines}
    assert told - {"handler"} == set(WriteArguments.__optional_keys__)


def test_one_of_two_sides() -> None:
    """Exactly one of ``candidate`` and ``control`` must be given."""
    with migration() as made:
        for sides in ({}, {"candidate": same, "control": same}):
            with pytest.raises(ConfigError, match="write needs one of candidate and control"):
                made.write(same, touches=touch, **sides)


@pytest.mark.parametrize("wrong", [5, object(), lambda: 1, lambda *, z: z])
def test_the_other_side_must_fit(wrong: Any) -> None:
    """A side that cannot be called as the handler is refused when it is built."""
    with migration() as made, pytest.raises(HandlerError):
        made.write(same, candidate=wrong, touches=touch)


def test_as_a_decorator() -> None:
    """As a decorator it keeps name, docstring and signature."""
    with migration() as made:

        @made.write(candidate=same, touches=touch)
        def handler(x: int) -> int:
            """Do it."""
            return x

        assert (handler.__name__, handler.__doc__) == ("handler", "Do it.")
        assert list(inspect.signature(handler).parameters) == ["x"]
        assert handler(1) == 1
        (name,) = made.experiments
        assert name.endswith("handler")


def test_names_are_unique() -> None:
    """Reads and writes share their names."""
    with migration() as made:
        made.write(same, candidate=same, touches=touch, name="e")
        with pytest.raises(ConfigError) as caught:
            made.read(same, candidate=same, name="e")
        assert caught.value.field == "name"


# Options at work ------------------------------------------------------------------------------------------------------


def test_sticky_sampling() -> None:
    """With sampling by key an entity's writes are all compared or none."""
    world = World()
    numbers = [world.new() for _ in range(30)]
    sampled: list[int] = []
    with migration() as made:
        made._on_comparison = lambda found: sampled.append(found.call.args[0])
        update = made.write(
            world.control.update,
            candidate=world.candidate().update,
            name="e",
            sample=sticky(0.5, key=lambda call: call["number"]),
            **world.options,
        )
        for number in numbers * 2:
            update(number, "x")
            made.flush(20)
    assert 0 < len(set(sampled)) < 30
    assert len(sampled) == 2 * len(set(sampled))


def test_extract() -> None:
    """What ``extract`` makes of an answer is what ``touches``, ``carry`` and ``key`` see, and what is compared."""
    world = World()
    asked: list[Any] = []

    class Answer:
        def __init__(self, row: Any) -> None:
            self.row = row

    def note(call: Any) -> Any:
        asked.append(call.result)
        return []

    with bench() as made:
        handler = made.made.write(
            lambda x: Answer({"x": x}),
            candidate=lambda x, at=0: Answer({"x": x}),
            name="e",
            touches=note,
            carry=lambda call: {"at": note(call) or 5},
            key=lambda call: note(call) or call.result["x"],
            extract=lambda answer: answer.row,
        )
        assert made.judge(handler, 7).verdict is Verdict.MATCH
        assert all(result == {"x": 7} for result in asked if isinstance(result, dict))
        assert {"x": 7} in asked
    del world


def test_share() -> None:
    """An argument that cannot be copied may be shared by reference."""
    import threading

    lock = threading.Lock()
    got: list[Any] = []
    with bench() as made:
        handler = made.made.write(
            lambda lock, x: x, candidate=lambda lock, x: got.append(lock) or x, name="e", touches=touch, share=["lock"]
        )
        assert made.judge(handler, lock, 1).verdict is Verdict.MATCH
        assert got[0] is lock


def test_too_large() -> None:
    """An answer above the limit is skipped, and the call is served."""
    with bench() as made:
        handler = made.made.write(
            lambda x: "x" * 5000, candidate=same, name="e", touches=touch, snapshot_limit=1000, key=lambda call: 1
        )
        with made.made.inline():
            assert len(handler(1)) == 5000
        assert counted(made.made) == {"skipped": 1, "skipped:too_large": 1}
        assert made.made._get_mirror().overlap.entities == {}


def test_the_candidate_s_answer_is_too_large() -> None:
    """A candidate's answer above the limit is skipped, and the sister is put right at the next call."""
    world = World()
    number = world.new()
    size = [5000]

    def candidate(number: int, body: str, *, event_id: str | None = None) -> Any:
        answer = world.control.update(number, body, event_id=event_id)
        return answer | {"more": "x" * size[0]} if size[0] else answer

    with bench() as made:
        update = made.made.write(
            world.control.update, candidate=candidate, name="e", snapshot_limit=2000, **world.options
        )
        found = made.judge(update, number, "x")
        assert (found.verdict, found.reason) == (Verdict.SKIPPED, "too_large")
        size[0] = 0
        assert made.judge(update, number, "y").verdict is Verdict.MATCH


def test_comparator_by_function() -> None:
    """Any comparator may be given, such as `exact`."""
    world = World()
    assert once(world, "update", world.candidate().update, world.new(), "x", compare=exact).verdict is Verdict.MATCH


def test_answers_that_cannot_be_copied_twice() -> None:
    """An answer that cannot be frozen is broken and counted, and the call is served."""
    with bench() as made:
        handler = made.made.write(lambda x: (y for y in [x]), candidate=same, name="e", touches=touch)
        with made.made.inline():
            assert list(handler(1)) == [1]
        assert counted(made.made)["broken"] == 1
        assert errors(made.made) == {"snapshot": 1}


def test_enums_and_odd_keys() -> None:
    """A key may be anything that can be hashed, and one that cannot is as good as none."""

    class Kind(enum.Enum):
        ONE = 1

    with bench() as made:
        for number, key in enumerate([Kind.ONE, ("a", 1), 1.5, b"k", frozenset({1}), None, [1]]):
            handler = made.made.write(
                same, candidate=same, name=f"e{number}", touches=touch, key=lambda call, key=key: key
            )
            with made.made.inline() as seen:
                assert handler(1) == 1
            assert counted(made.made, f"e{number}") == ({"match": 1} if seen else {"broken": 1, "broken:key": 1})
            assert bool(seen) is (type(key) is not list)


# Functions of the user's that go wrong --------------------------------------------------------------------------------

NONSENSE: dict[str, list[Any]] = {
    "touches": [None, 5, [5], ["db:comments"], [None], [Ref("db", "row", "comments", (1,))], "x", {"a": 1}, [[]]],
    "hydrate": [None, 5, [5], ["db:comments"], [None], [Ref("db", "row", "comments", (1,))], "x", [[]]],
    "carry": [None, 5, "text", [1], [("a",)], {5: 1}],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in NONSENSE.items() for value in values])
def test_nonsense(name: str, value: Any, mode: str) -> None:
    """What a function should not return is broken under its name, counted, and the call is served."""
    world = World()
    number = world.new()
    with bench(mode) as made:
        options = {**world.options, name: lambda call: value}
        update = made.made.write(world.control.update, candidate=world.candidate().update, name="e", **options)
        if mode == "inline":
            with made.made.inline():
                assert update(number, "x")["body"] == "x"
        else:
            assert update(number, "x")["body"] == "x"
        assert made.made.flush(20)
        assert counted(made.made) == {"broken": 1, f"broken:{name}": 1}, made.seen
        assert errors(made.made) == {name: 1}
        assert made.made._get_mirror().overlap.entities == {}
        assert made.made._get_mirror().claims.active == set()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error", [ValueError, KeyError, SystemExit, GeneratorExit, ShadowmigError])
@pytest.mark.parametrize("name", ["touches", "hydrate", "carry", "version"])
def test_raising(name: str, error: type[BaseException], mode: str) -> None:
    """What a function raises is broken under its name, counted, and the call is served."""
    world = World()
    number = world.new()

    def fail(call: Any) -> Any:
        raise error("mine")

    with bench(mode) as made:
        options = {**world.options, name: fail}
        update = made.made.write(world.control.update, candidate=world.candidate().update, name="e", **options)
        if mode == "inline":
            with made.made.inline():
                assert update(number, "x")["body"] == "x"
        else:
            assert update(number, "x")["body"] == "x"
        assert made.made.flush(20)
        assert counted(made.made) == {"broken": 1, f"broken:{name}": 1}
        assert errors(made.made) == {name: 1}


@pytest.mark.parametrize("hydrated", [True, False])
def test_a_key_that_always_raises(hydrated: bool) -> None:
    """A key that raises before the call and after it is counted, and the call is judged all the same."""
    world = World()
    options = world.options if hydrated else {**world.options, "hydrate": None}
    number = world.new()
    world.db.sister.client().insert("comments", world.in_production(number))
    world.cache.sister.client().set(f"c:{number}", world.in_production(number), ttl=100)
    with bench() as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate().update, name="e", **{**options, "key": lambda call: 1 / 0}
        )
        assert made.judge(update, number, "x").verdict is Verdict.MATCH
        assert errors(made.made) == {"key": 1}


def test_a_version_of_frozen_arguments() -> None:
    """The version may be taken from arguments that can change."""
    with bench() as made:
        handler = made.made.write(
            lambda body: body["v"],
            candidate=lambda body: body["v"],
            name="e",
            touches=touch,
            version=lambda call: call["body"]["v"],
        )
        assert made.judge(handler, {"v": 1}).verdict is Verdict.MATCH


@pytest.mark.parametrize("name", ["touches", "hydrate", "carry", "version", "key"])
def test_functions_see_the_call(name: str) -> None:
    """Each function is given the call: its id, experiment, time, and arguments by name, defaults included."""
    world = World()
    number = world.new()
    asked: list[Any] = []

    def wrap(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def ask(call: Any) -> Any:
            asked.append((call.experiment, call["number"], call["body"], call["event_id"], call.id, call.at.tzinfo))
            return function(call)

        return ask

    options: dict[str, Any] = {**world.options, "version": lambda call: call.result["version"]}
    with bench() as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate().update, name="e", **options | {name: wrap(options[name])}
        )
        found = made.judge(update, number, body="x")
        assert found.verdict is Verdict.MATCH
        assert {one[:4] for one in asked} == {("e", number, "x", None)}
        assert {one[4] for one in asked} == {found.call.id if found.call else ""}


def test_touches_that_ask_for_what_a_failed_call_lacks() -> None:
    """After a call that raised, ``touches`` may ask in vain for the answer, and the hydrated records are compared."""
    world = World()
    number = world.new()

    def refuse(number: int) -> None:
        raise LookupError(number)

    def refuse_late(number: int) -> None:
        world.db.client().update("comments", number, body="left behind", version=9)
        raise LookupError(number)

    options: dict[str, Any] = {
        "hydrate": world.hydrate,
        "touches": lambda call: [world.row(call.result["id"])],
        "settle": QUICK,
        "hydrate_timeout": 5,
        "breaker": PATIENT,
    }
    with bench() as made:
        right = made.made.write(refuse, candidate=refuse, name="right", **options)
        assert made.judge(right, number).verdict is Verdict.MATCH
        wrong = made.made.write(refuse, candidate=refuse_late, name="wrong", **options)
        assert made.judge(wrong, number).verdict is Verdict.MISMATCH


def test_hydrating_takes_no_breaker() -> None:
    """Hydrating within its own limit is no overhead that makes shadowing pause."""
    import threading
    import time

    world = World()
    number = world.new()

    def dawdle() -> None:
        if not threading.current_thread().name.startswith("shadowmig"):
            time.sleep(0.5)

    world.db.production.before_read = dawdle  # type: ignore[attr-defined]  # it is a watched store
    with migration() as made:
        update = made.write(
            world.control.update,
            candidate=world.candidate().update,
            name="e",
            **{**world.options, "breaker": Breaker(overhead=0.4), "hydrate_timeout": 20},
        )
        for _ in range(4):
            update(number, "x")
        made.flush(20)
        assert "skipped:breaker" not in counted(made)
