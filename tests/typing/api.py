"""What must type-check: a decorated handler has the very type it had before. Checked by mypy, never run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, assert_type

from shadowmig import (
    Call,
    Comparison,
    Difference,
    Migration,
    SisterStore,
    Stage,
    capped,
    exact,
    fraction,
    sticky,
    structural,
)
from shadowmig.engine import Breaker, Inline, Tasks, Threads
from shadowmig.model import Batch, Ref
from shadowmig.stores import MemoryStore, Table

migration = Migration("comments", sample=fraction(0.01), stage="shadow", runner=Threads(workers=2))


def candidate(comment_id: int) -> dict[str, Any]:
    return {}


async def async_candidate(comment_id: int) -> dict[str, Any]:
    return {}


@migration.read(candidate=candidate, compare=structural(ignore=["$.served_by"]), version=lambda value: value["v"])
def get(comment_id: int, *, deep: bool = False) -> dict[str, Any]:
    return {}


assert_type(get(1, deep=True), dict[str, Any])


@migration.read(
    candidate=async_candidate, deadline=0.5, sample=capped(sticky(0.1, key=lambda call: call["id"]), per_second=5)
)
async def get_async(comment_id: int) -> dict[str, Any]:
    return {}


coroutine: Callable[[int], Coroutine[Any, Any, dict[str, Any]]] = get_async


class Comments:
    @migration.read(control=candidate, errors="message", breaker=Breaker(errors=0.2))
    def get(self, comment_id: int) -> str:
        return ""

    @classmethod
    @migration.read(candidate=candidate, stage=Stage.LIVE)
    def of(cls, comment_id: int) -> str:
        return ""

    @staticmethod
    @migration.read(candidate=candidate, compare=exact)
    def plain(comment_id: int) -> str:
        return ""


assert_type(Comments().get(1), str)
assert_type(Comments.of(1), str)
assert_type(Comments.plain(1), str)

wrapped = migration.read(get, candidate=candidate)
assert_type(wrapped(1), dict[str, Any])
part = migration.read(partial(get, 1), candidate=candidate, name="part")
assert_type(part(), dict[str, Any])


def compare(*, control: Any, candidate: Any) -> list[Difference]:
    return []


migration.read(get, candidate=candidate, compare=compare, name="own")


def sink(batch: Batch) -> None: ...


def watch(comparison: Comparison) -> None: ...


Migration("m", sinks=[sink], on_comparison=watch, runner=Inline())
Migration("m", runner=Tasks(limit=5))
migration.stage = Stage.LIVE
migration.stage = "off"
migration.experiments["get"].stage = None


async def flush() -> None:
    assert_type(await migration.aflush(), bool)


future: Awaitable[bool] = migration.aflush()

migration.read(get, candidat=candidate)  # type: ignore[call-overload]  # a mistyped option is an error
migration.read(get, candidate=candidate, errors="typo")  # type: ignore[call-overload]  # so is a wrong rule
get("1")  # type: ignore[arg-type]  # and a wrong argument of the handler

# Writes ---------------------------------------------------------------------------------------------------------------

db = SisterStore(
    production=MemoryStore(tables=[Table("comments", key="id", version="version")]),
    sister=MemoryStore(tables=[Table("comments", key="id", version="version")]),
)


def touched(call: Call) -> list[Ref]:
    return [db.row("comments", call["comment_id"]), db.key("c"), db.entry("ev", call.result["event_id"])]


def new_update(comment_id: int, body: str, *, at: float | None = None) -> dict[str, Any]:
    return {}


@migration.write(
    candidate=new_update,
    key=lambda call: call["comment_id"],
    hydrate=lambda call: [db.row("comments", call["comment_id"])],
    carry=lambda call: {"at": call.result["at"]},
    touches=touched,
    version=lambda call: call.result["version"],
    counter=False,
    generated=["$.id", "db.comments:$.id"],
    effect="delta",
    settle=2.5,
    hydrate_timeout=timedelta(milliseconds=20),
    stage="off",
)
def update(comment_id: int, body: str) -> dict[str, Any]:
    return {}


assert_type(update(1, "x"), dict[str, Any])


async def new_update_async(comment_id: int, body: str) -> bool:
    return True


@migration.write(candidate=new_update_async, touches=touched)
async def update_async(comment_id: int, body: str) -> bool:
    return True


writing: Callable[[int, str], Coroutine[Any, Any, bool]] = update_async


class Writer:
    @migration.write(control=new_update, touches=lambda call: (), breaker=Breaker())
    def update(self, comment_id: int, body: str) -> str:
        return ""


assert_type(Writer().update(1, "x"), str)
again = migration.write(update, candidate=new_update, touches=touched, name="again")
assert_type(again(1, "x"), dict[str, Any])

migration.write(update, candidate=new_update, touches=touched, confirm=False)  # type: ignore[call-overload]  # an option of reads
migration.write(update, candidate=new_update, touches=touched, effect="both")  # type: ignore[call-overload]  # no such effect
migration.write(update, candidate=new_update, touches=lambda call: 5)  # type: ignore[arg-type,return-value]  # 5 is no refs
update("1", "x")  # type: ignore[arg-type]  # a wrong argument of the handler
