"""The contract of stores, fourth part: threads, forks and outages."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from shadowmig.errors import StoreUnavailable
from shadowmig.model import Record, Ref
from shadowmig.protocols import AsyncStore, Store
from shadowmig.testing._contract_hooks import PATIENCE, Hooks, refused, skip, within

_THREADS = 8
_ROUNDS = 10
_READS = 30


class Faults(Hooks):
    """What disturbs a store."""

    def test_threads(self) -> None:
        """Many threads at once read and write through one handle without disturbing each other."""
        with closing(self.make_store()) as store:
            common, *own = self._refs(_THREADS + 1)
            store.write(self._records([common]))

            def work(ref: Ref) -> None:
                for number in range(_ROUNDS):
                    store.write([Record(ref, self.make_value(ref, number))])
                    self._expect(store, [ref, common, ref], [number, 0, number], "one of many threads")
                    store.delete([ref])
                    self._expect(store, [common, ref], [0, None], "one of many threads")
                store.write([Record(ref, self.make_value(ref, 3))])

            with ThreadPoolExecutor(_THREADS) as pool:
                for done in [pool.submit(work, ref) for ref in own]:
                    done.result(60)
            self._expect(store, own, [3] * len(own), "after all threads")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_fork(self) -> None:
        """A forked child reads by connections of its own, while its parent goes on reading by its own."""
        with closing(self.make_store()) as store:
            refs = self._filled(store, 3)
            self._expect(store, refs, [0, 1, 2], "before a fork")
            store.client()
            with warnings.catch_warnings():
                # A process with threads is told that a fork may lock up: servers fork so, and stores must stand it.
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
            if child == 0:  # pragma: no cover - what a child runs is not always recorded
                self._in_child(store, refs)
            try:
                for _ in range(_READS):
                    self._expect(store, refs, [0, 1, 2], "the parent of a forked child")
                assert _exit_code(child) == 0, "a forked child could not read, or read something else; see its output"
            finally:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
            self._expect(store, refs, [0, 1, 2], "after the child has ended")

    def _in_child(self, store: Store, refs: Sequence[Ref]) -> None:  # pragma: no cover - as above, a child's code
        code = 1
        try:
            for _ in range(_READS):
                self._expect(store, refs, [0, 1, 2], "a forked child")
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)

    def test_outage(self) -> None:
        """While the place cannot be reached every call raises `StoreUnavailable` in time; afterwards all is well."""
        if self._lacks("fail", "recover"):
            skip("fail and recover are not given")
        with closing(self.make_store()) as warm, closing(self.make_store()) as cold:
            refs = self._filled(warm, 2)
            self.fail()
            try:
                for name, call in self._calls(warm, refs).items():
                    error = refused(StoreUnavailable, f"{name} in an outage", call)
                    assert not self.password or self.password not in str(error), "the password is in an error"
                refused(StoreUnavailable, "the first read, in an outage,", lambda: cold.read(refs))
            finally:
                self.recover()
            for store in (warm, cold):
                self._works_again(store, refs)

    def _works_again(self, store: Store, refs: Sequence[Ref]) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                within(lambda: store.read(refs))
                break
            except StoreUnavailable:  # as long as the server takes to start
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        store.write(self._records(refs, 2))
        self._expect(store, refs, [2, 3], "after an outage")

    def _calls(self, store: Store, refs: Sequence[Ref]) -> dict[str, Callable[[], object]]:
        calls: dict[str, Callable[[], object]] = {
            "identity": store.identity,
            "read": lambda: store.read(refs),
            "write": lambda: store.write(self._records(refs)),
            "delete": lambda: store.delete(refs),
            "reset": store.reset,
            "plant": lambda: store.plant("51ce"),
            "finds": lambda: store.finds("51ce"),
        }
        if isinstance(store, AsyncStore):
            import asyncio

            reads: AsyncStore = store
            calls["aread"] = lambda: asyncio.run(_awaited(reads, refs))
        return calls


async def _awaited(store: AsyncStore, refs: Sequence[Ref]) -> object:
    return await store.aread(refs)


def _exit_code(child: int) -> int:
    """Wait for a child, for a bounded time; it is not waited for again once it is gone."""
    end = time.monotonic() + 3 * PATIENCE
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    raise AssertionError("a forked child hangs")
