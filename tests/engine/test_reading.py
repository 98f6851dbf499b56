"""``Migration.read``: what can be decorated, and what stays as it was."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from shadowmig import Migration, Stage, Verdict
from shadowmig.engine import Inline, Tasks, Threads
from shadowmig.errors import ConfigError, HandlerError
from shadowmig.model import Comparison
from shadowmig.sinks import Memory


@pytest.fixture
def migration() -> Iterator[Migration]:
    """A migration that judges before a call returns."""
    with Migration("comments", sinks=[Memory()], runner=Inline()) as migration:
        yield migration


def verdicts(migration: Migration, name: str) -> dict[str, int]:
    """The verdicts of an experiment that are not zero."""
    summary = migration.stats().experiments[name]
    return {verdict.value: count for verdict, count in summary.verdicts.items() if count}


def test_a_function(migration: Migration) -> None:
    """A decorated function answers as before, and the candidate is compared."""

    @migration.read(candidate=lambda comment_id: {"id": comment_id})
    def get_comment(comment_id: int) -> dict[str, int]:
        """Get a comment."""
        return {"id": comment_id}

    assert get_comment(1) == {"id": 1}
    assert get_comment(comment_id=2) == {"id": 2}
    assert verdicts(migration, "get_comment") == {"match": 2}
    assert get_comment.__name__ == "get_comment"
    assert get_comment.__doc__ == "Get a comment."
    assert str(inspect.signature(get_comment)) == "(comment_id: 'int') -> 'dict[str, int]'"


def test_the_plain_call(migration: Migration) -> None:
    """Called with a handler, ``read`` gives the wrapped handler."""

    def get(comment_id: int) -> int:
        return comment_id

    wrapped = migration.read(get, candidate=lambda comment_id: -comment_id)
    assert wrapped(1) == 1
    assert verdicts(migration, "get") == {"mismatch": 1}


def test_the_other_way_round(migration: Migration) -> None:
    """With ``control=`` the decorated function is the candidate, and control is served in stage SHADOW."""

    @migration.read(control=lambda comment_id: "old")
    def get(comment_id: int) -> str:
        return "new"

    assert get(1) == "old"
    finding = migration.findings()[0]
    assert (finding.examples[0].control, finding.examples[0].candidate) == ("'old'", "'new'")
    migration.stage = Stage.LIVE
    assert get(1) == "new"
    assert migration.findings()[0].count == 2


def test_methods(migration: Migration) -> None:
    """Methods, class methods and static methods work; the candidate gets ``self`` if it has such a parameter."""

    def with_self(self: Any, n: int) -> int:
        return self.base + n

    class Comments:
        base = 10

        @migration.read(candidate=with_self)
        def get(self, n: int) -> int:
            return self.base + n

        @migration.read(candidate=lambda n: 10 + n)
        def get_without(self, n: int) -> int:
            return self.base + n

        @classmethod
        @migration.read(candidate=lambda n: 10 + n)
        def of(cls, n: int) -> int:
            return cls.base + n

        @migration.read(candidate=lambda n: 10 + n)
        @classmethod
        def of_outside(cls, n: int) -> int:
            return cls.base + n

        @migration.read(candidate=lambda n: n)
        @staticmethod
        def same(n: int) -> int:
            return n

    comments = Comments()
    assert (comments.get(1), comments.get_without(n=2), comments.same(3)) == (11, 12, 3)
    assert (Comments.of(4), comments.of(4), Comments.of_outside(5)) == (14, 14, 15)
    for name, calls in [("get", 1), ("get_without", 1), ("of", 2), ("of_outside", 1), ("same", 1)]:
        assert verdicts(migration, f"Comments.{name}") == {"match": calls}
    migration.stage = "live"
    assert (comments.get(1), comments.get_without(n=2), Comments.of(4)) == (11, 12, 14)


def test_partials_and_callable_objects(migration: Migration) -> None:
    """A partial and an object with ``__call__`` can be either side."""

    class Get:
        def __call__(self, n: int) -> int:
            return n

    def get(base: int, n: int) -> int:
        return base + n

    one = migration.read(functools.partial(get, 10), candidate=functools.partial(get, 10), name="partial")
    two = migration.read(Get(), candidate=Get())
    three = migration.read(abs, candidate=abs)
    assert (one(1), two(1), three(-1)) == (11, 1, 1)
    for name in ("partial", "Get", "abs"):
        assert verdicts(migration, name) == {"match": 1}


async def identity(n: int) -> int:
    """Answer, a little later."""
    await asyncio.sleep(0)
    return n


def plain(n: int) -> int:
    """Answer at once."""
    return n


def unannounced(n: int) -> Any:
    """Return a coroutine without being async."""
    return identity(n)


class Asking:
    """An object whose call is a coroutine."""

    async def __call__(self, n: int) -> int:
        """Answer."""
        return n


@pytest.mark.parametrize("runner", [Inline, Threads, Tasks, None])
@pytest.mark.parametrize("other", [identity, plain, Asking(), functools.partial(identity)])
@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.LIVE])
def test_async_handlers(runner: Any, other: Any, stage: Stage) -> None:
    """An async handler works with a sync and an async other side, in every stage and runner that can."""
    if runner is Tasks and other is plain:
        pytest.skip("refused when decorated; see below")

    async def main() -> None:
        made = None if runner is None else runner()
        async with Migration("m", sinks=[Memory()], runner=made, stage=stage) as migration:
            get = migration.read(identity, candidate=other, name="get")
            assert inspect.iscoroutinefunction(get)
            assert [await get(n) for n in range(5)] == list(range(5))
            assert await migration.aflush()
            assert verdicts(migration, "get") == {"match": 5}

    asyncio.run(main())


@pytest.mark.parametrize("runner", [Inline, Threads])
@pytest.mark.parametrize("other", [identity, plain, Asking(), unannounced])
@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.LIVE])
def test_sync_handlers(runner: Any, other: Any, stage: Stage) -> None:
    """A sync handler works with an async other side, even one whose coroutine nobody announced."""
    if stage is Stage.LIVE and other is unannounced:
        pytest.skip("a function that is not async but returns a coroutine cannot be served to a sync caller")
    with Migration("m", sinks=[Memory()], runner=runner(), stage=stage) as migration:
        get = migration.read(plain, candidate=other, name="get")
        assert [get(n) for n in range(5)] == list(range(5))
        assert migration.flush()
        assert verdicts(migration, "get") == {"match": 5}


def test_tasks_need_two_async_sides() -> None:
    """The asyncio runner is refused for what is not async, when decorating."""
    migration = Migration("m", sinks=[], runner=Tasks())
    for handler, other in [(plain, plain), (identity, plain), (plain, identity)]:
        with pytest.raises(ConfigError, match="runner is Tasks"):
            migration.read(handler, candidate=other)


def test_all_four_stages(migration: Migration) -> None:
    """Each stage serves and checks as the table says, and can be switched while the service runs."""
    ran: list[str] = []
    get = migration.read(
        lambda: ran.append("control") or "same", candidate=lambda: ran.append("candidate") or "same", name="get"
    )
    seen = {}
    for stage in Stage:
        ran.clear()
        migration.stage = stage
        get()
        seen[stage.value] = list(ran)
    assert seen == {
        "off": ["control"],
        "shadow": ["control", "candidate"],
        "live": ["candidate", "control"],
        "complete": ["candidate"],
    }
    assert verdicts(migration, "get") == {"match": 2}


def test_a_stage_of_ones_own(migration: Migration) -> None:
    """An experiment's own stage wins over the migration's until it is taken back."""
    get = migration.read(lambda: "old", candidate=lambda: "new", name="get", stage="live")
    assert get() == "new"
    migration.stage = "off"
    assert get() == "new"
    migration.experiments["get"].stage = None
    assert get() == "old"
    migration.experiments["get"].stage = "complete"
    assert (get(), migration.experiments["get"].stage, migration.stage) == ("new", Stage.COMPLETE, Stage.OFF)


def test_sides_never_swap() -> None:
    """``control=`` and ``candidate=`` are the same sides in every stage."""
    seen: list[tuple[str, str]] = []

    def compare(*, control: str, candidate: str) -> list[Any]:
        seen.append((control, candidate))
        return []

    with Migration("m", sinks=[], runner=Inline()) as migration:
        get = migration.read(lambda: "old", candidate=lambda: "new", compare=compare, name="get")
        for stage in (Stage.SHADOW, Stage.LIVE):
            migration.stage = stage
            get()
    assert seen == [("old", "new")] * 2


def generator(n: int) -> Iterator[int]:
    """Yield."""
    yield n


async def async_generator(n: int) -> AsyncIterator[int]:
    """Yield."""
    yield n


@pytest.mark.parametrize("function", [generator, async_generator, functools.partial(generator, 1)])
def test_generators_are_refused(migration: Migration, function: Any) -> None:
    """A generator function is refused on either side, with what to do instead."""
    with pytest.raises(HandlerError, match=r"handler is a generator function.*returns the whole answer"):
        migration.read(function, candidate=plain)
    with pytest.raises(HandlerError, match="candidate is a generator function"):
        migration.read(plain, candidate=function)


def takes_two(n: int, m: int) -> int:
    """Take two."""
    return n + m


def test_wrong_options_fail_when_built(migration: Migration) -> None:
    """Each wrong option is refused by name when decorating."""
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("candidate", {}),
        ("candidate", {"candidate": plain, "control": plain}),
        ("candidate", {"candidate": 5}),
        ("candidate", {"candidate": takes_two}),
        ("control", {"control": takes_two}),
        ("compare", {"candidate": plain, "compare": 5}),
        ("compare", {"candidate": plain, "compare": None}),
        ("compare", {"candidate": plain, "compare": lambda a, b: []}),
        ("version", {"candidate": plain, "version": "version"}),
        ("key", {"candidate": plain, "key": "id"}),
        ("extract", {"candidate": plain, "extract": "id"}),
        ("errors", {"candidate": plain, "errors": "same"}),
        ("errors", {"candidate": plain, "errors": lambda a: a}),
        ("deadline", {"candidate": plain, "deadline": 0}),
        ("deadline", {"candidate": plain, "deadline": "1s"}),
        ("judging", {"candidate": plain, "judging": True}),
        ("stage", {"candidate": plain, "stage": "shadows"}),
        ("sample", {"candidate": plain, "sample": 0.1}),
        ("breaker", {"candidate": plain, "breaker": 0.5}),
        ("snapshot_limit", {"candidate": plain, "snapshot_limit": 0}),
        ("snapshot_limit", {"candidate": plain, "snapshot_limit": 1.5}),
        ("share", {"candidate": plain, "share": "n"}),
        ("share", {"candidate": plain, "share": [1]}),
        ("share", {"candidate": plain, "share": ["m"]}),
        ("share", {"candidate": plain, "share": None}),
        ("deadlin", {"candidate": plain, "deadlin": 1}),
    ]
    for field, options in wrong:
        with pytest.raises(ConfigError) as caught:
            migration.read(plain, **options)
        assert caught.value.field == field, options
        assert caught.value.remedy, options
    assert not migration.experiments


def test_classes_and_taken_names_are_refused(migration: Migration) -> None:
    """A class is no handler, and two experiments cannot have one name."""
    with pytest.raises(HandlerError, match="Decorate its method"):
        migration.read(Asking, candidate=Asking)
    migration.read(plain, candidate=plain)
    with pytest.raises(ConfigError, match="another name="):
        migration.read(plain, candidate=plain)


def test_handlers_with_variable_parameters_are_not_checked(migration: Migration) -> None:
    """Where a handler takes anything, the other side's parameters are left to the calls."""

    def anything(*args: Any, **kwargs: Any) -> int:
        return 1

    assert migration.read(anything, candidate=takes_two)() == 1
    assert migration.findings()[0].kind == "raised"
    migration.read(lambda n, *, m=2: n, candidate=lambda n: n, name="optional")
    with pytest.raises(HandlerError, match="cannot be called like"):
        migration.read(lambda n, *, m: n, candidate=lambda n: n, name="required")


def test_parameters_may_have_other_names(migration: Migration) -> None:
    """Arguments passed by name reach the other side under its own names, in every stage."""

    class Comments:
        @migration.read(candidate=lambda ident, depth=1: (ident, depth))
        def get(self, comment_id: int, levels: int = 1) -> tuple[int, int]:
            return comment_id, levels

    get = migration.read(lambda a, *, b: (a, b), candidate=lambda x, *, b: (x, b), name="keyword")
    comments = Comments()
    for stage in ("shadow", "live", "complete"):
        migration.stage = stage
        assert comments.get(1, 2) == comments.get(1, levels=2) == comments.get(comment_id=1, levels=2) == (1, 2)
        assert get(1, b=2) == get(a=1, b=2) == (1, 2)
    assert verdicts(migration, "Comments.get") == {"match": 6}
    assert verdicts(migration, "keyword") == {"match": 4}


def test_a_candidate_may_change_its_arguments(migration: Migration) -> None:
    """What the candidate does to its arguments reaches neither the handler nor the caller."""

    def vandal(tags: list[str], *, options: dict[str, Any]) -> list[str]:
        answer = list(tags)
        tags.clear()
        options.clear()
        return answer

    @migration.read(candidate=vandal)
    def get(tags: list[str], *, options: dict[str, Any]) -> list[str]:
        assert options == {"deep": [1]}
        return list(tags)

    tags, options = ["a"], {"deep": [1]}
    assert get(tags, options=options) == ["a"]
    assert (tags, options) == (["a"], {"deep": [1]})
    assert verdicts(migration, "get") == {"match": 1}


def test_arguments_that_cannot_be_copied(migration: Migration) -> None:
    """A call with such an argument is broken, by name, and the candidate is not run; unless the user shares it."""
    ran: list[object] = []

    def get(lock: Any, n: int) -> int:
        return n

    lock = threading.Lock()
    refused = migration.read(get, candidate=lambda lock, n: ran.append(lock) or n, name="refused")
    shared = migration.read(get, candidate=lambda lock, n: ran.append(lock) or n, name="shared", share=["lock"])
    assert refused(lock, 1) == shared(lock, 1) == shared(lock=lock, n=1) == 1
    assert ran == [lock, lock]
    stats = migration.stats().experiments
    assert (stats["refused"].reasons, stats["refused"].errors) == ({"broken:snapshot": 1}, {"snapshot": 1})
    assert verdicts(migration, "shared") == {"match": 2}


def test_a_handler_may_change_its_arguments(migration: Migration) -> None:
    """The candidate sees the arguments as the caller passed them, whatever the handler does to them."""

    def get(options: dict[str, int]) -> int:
        return options.pop("n")

    wrapped = migration.read(get, candidate=lambda options: options["n"])
    assert wrapped({"n": 5}) == 5
    assert verdicts(migration, "get") == {"match": 1}


def test_what_the_user_does_to_the_answer_is_not_judged() -> None:
    """The answer is compared as it was when it was served."""
    with Migration("m", sinks=[Memory()]) as migration:
        get = migration.read(lambda: {"tags": ["a"]}, candidate=lambda: {"tags": ["a"]}, name="get")
        get()["tags"].append("b")
        assert migration.flush()
        assert verdicts(migration, "get") == {"match": 1}


def test_the_answer_is_the_very_object(migration: Migration) -> None:
    """The caller gets the served side's own object, not a copy."""
    answer = {"tags": [1]}
    get = migration.read(lambda: answer, candidate=lambda: {"tags": [2]}, name="get")
    assert get() is answer


def test_defaults_reach_the_call(migration: Migration) -> None:
    """``call["name"]`` finds arguments passed by position, by name, or not at all."""
    seen: list[Any] = []

    def get(a: int, b: int = 2, *, c: int = 3) -> int:
        return a

    get = migration.read(
        get, candidate=lambda a, b=2, *, c=3: a, key=lambda call: seen.append([call[name] for name in "abc"])
    )
    get(1)
    get(1, 5, c=6)
    get(a=1, b=7)
    assert seen == [[1, 2, 3], [1, 5, 6], [1, 7, 3]]


def test_nested_handlers_are_not_checked_twice(migration: Migration) -> None:
    """A handler called by a checked side is served and not sampled again."""
    calls: list[Comparison] = []
    inner = migration.read(plain, candidate=plain, name="inner")
    outer = migration.read(lambda n: n, candidate=inner, name="outer")
    with migration.inline(calls):
        assert outer(1) == 1
    assert [(c.call.experiment, c.verdict) for c in calls if c.call] == [("outer", Verdict.MATCH)]


def test_closed_migrations_go_on_serving(migration: Migration) -> None:
    """After ``close`` handlers answer as their stage says and nothing is compared."""
    get = migration.read(lambda: "old", candidate=lambda: "new", name="get")
    migration.stage = "live"
    assert migration.close()
    assert migration.close()
    assert get() == "new"
    migration.stage = "shadow"
    assert get() == "old"
    assert verdicts(migration, "get") == {}
