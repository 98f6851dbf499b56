"""The same migration on trial with handlers that write, over embedded stores; and one whose sister is production."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from shadowmig.compare import exact
from shadowmig.engine import write_groups
from shadowmig.migration import Migration
from shadowmig.model import Call, Ref, Verdict
from shadowmig.stores.memory import MemorySpace, MemoryStore
from shadowmig.stores.sister import SisterStore
from shadowmig.testing._harm_faults import Trouble
from shadowmig.testing._harm_rig import Rig, logging_to
from shadowmig.testing._harm_scene import Scene

BRISK: Final = 0.25
"""Seconds that the stores may take around the checked side in a trial."""


@contextmanager
def brisk() -> Iterator[None]:
    """Have steps that ask stores be given up soon meanwhile."""
    before, write_groups.PATIENCE = write_groups.PATIENCE, BRISK
    try:
        yield
    finally:
        write_groups.PATIENCE = before


class WriteRig(Rig):
    """A rig whose handlers add to a number under a key, each endpoint to one of its own."""

    def _more_hooks(self) -> dict[str, Any]:
        self._store = SisterStore(name="numbers", production=MemoryStore(), sister=MemoryStore(), compare=exact)
        return {
            "hydrate": self._refs,
            "touches": self._refs,
            "carry": lambda call: {},
            "told": lambda call: None,
            "entity": lambda call: call.experiment,
        }

    def _refs(self, call: Call) -> list[Ref]:
        return [self._store.key(call.experiment)]

    def _scene(self, name: str, trouble: Trouble | None, values: dict[str, Callable[[], Any]] | None) -> Scene:
        return Scene(trouble, values, lambda by: self._store.client().incr(name, by))

    def _options(self, stage: Any) -> dict[str, Any]:
        hook = self._hooks
        options = super()._options(stage)
        return options | {
            "hydrate": None if self._keyed else hook["hydrate"],
            "touches": hook["touches"],
            "carry": hook["carry"],
            "version": hook["told"],
            "key": hook["entity"],
            "settle": 0.05,
            "hydrate_timeout": 5.0,
        }

    def _decorate(self, handler: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        decorated: Callable[..., Any] = self.migration.write(handler, **options)
        return decorated


CALLS: Final = 20


def unproved(served_by_threads: bool) -> None:
    """
    Have callers write while the sister is production under another name.

    Raises:
        AssertionError: A caller noticed something, the checked side ran, or nobody was told.
    """
    one = MemorySpace()
    production, sister = MemoryStore(space=one), MemoryStore(space=one)
    sister.identity = lambda: "another"  # type: ignore[method-assign]  # as two names of one server tell
    store = SisterStore(name="one", production=production, sister=sister)

    def handler() -> int:
        return int(store.client().incr("n"))

    with logging_to(None), Migration("unproved", sinks=[lambda batch: None], budget=1.0) as migration:
        key: Callable[[Call], list[Ref]] = lambda call: [store.key("n")]  # noqa: E731 - it is used twice
        write = migration.write(handler, candidate=handler, name="n", hydrate=key, touches=key, hydrate_timeout=5.0)
        if served_by_threads:
            answers = sorted(_in_threads(write))
        else:
            with migration.inline():
                answers = [write() for _ in range(CALLS)]
        if answers != list(range(1, CALLS + 1)):
            raise AssertionError(f"the callers got {answers}")
        if not migration.flush(15.0):
            raise AssertionError("flush() did not end")
        summary = migration.stats().experiments["n"]
    if production.client().get("n") != CALLS:
        raise AssertionError("the checked side wrote to production")
    if not summary.errors.get("not_isolated") or summary.calls != summary.verdicts[Verdict.SKIPPED]:
        raise AssertionError(f"that the sister is not isolated was not counted: {summary}")


def _in_threads(write: Callable[[], int]) -> list[int]:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(write())) for _ in range(CALLS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
