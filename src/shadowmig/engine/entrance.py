"""
The caller's path of a write: what is read before the served side runs, and what is asked when it has answered.

Danger: everything here holds up the caller. Hydrating has a limit, and whatever goes wrong lets the call go as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from shadowmig.engine import bridge
from shadowmig.engine.experiment import Experiment
from shadowmig.engine.guard import sent_from_outside
from shadowmig.engine.job import Job
from shadowmig.engine.mirror import Mirror, by_sister
from shadowmig.engine.write_options import WriteOptions
from shadowmig.errors import StoreUnavailable
from shadowmig.model import MISSING, Call, Reading, Record, Ref, Verdict
from shadowmig.stores.parted import Parted, answered

if TYPE_CHECKING:
    from shadowmig.stores.sister import SisterStore


class _Slow(Exception):
    """Hydrating took longer than it may."""


class Entrance(Experiment):
    """The part of a write experiment that callers pass through."""

    _options: WriteOptions

    def __init__(self, *args: Any, mirror: Callable[[], Mirror], **more: Any) -> None:
        self._get_mirror = mirror
        super().__init__(*args, **more)

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job | None:
        job = super()._begin(args, kwargs)
        if job is None or (job.key is None and self._options.hydrate is None):
            return job
        try:
            refs: list[Ref] = []
            if self._options.hydrate is not None:
                call = job.early = job.early or self._call_of(args, kwargs.copy(), job.number)
                refs = job.refs = list(self._options.hydrate(call))
                if self._options.key is None and refs:
                    job.key = hash(refs[0])
            job.ticket = self._get_mirror().overlap.enter(*({job.key, *refs} if job.key is not None else set(refs)))
            job.started = perf_counter()
            if refs and self.is_async:
                job.prepare = lambda: self._prepare(job, refs)
            elif refs:
                self._hydrate(job, refs)
            return job
        except BaseException as error:
            self._not_hydrated(job, error)
            return None

    def _key_of(self, call: Call, *, last: bool = False) -> Hashable:
        """Ask for the entity; of a record that is being created it may be known only afterwards."""
        if self._options.key is None:
            return None
        try:
            key = self._options.key(call)
        except Exception as error:
            if sent_from_outside(error):
                raise
            if last:
                self.guard.count("key", error)
            return None
        return None if key is None or key is MISSING else hash(key)

    def _hydrate(self, job: Job, refs: list[Ref]) -> None:
        started = job.base_read = perf_counter()
        end = started + self._options.hydrate_timeout
        # Keys come from memory: asked and taken first, they cost nothing beside a row that is still on its way.
        groups = sorted(by_sister(refs).items(), key=lambda item: item[1][0].kind == "row")
        # What came is understood off this path: bytes need no decoding here.
        job.reads = answered([_in_time(sister, group, end) for sister, group in groups])
        self._hydrated(job, started)

    async def _prepare(self, job: Job, refs: list[Ref]) -> None:
        """Hydrate on the event loop; nothing gets out but what was sent to the caller's task from outside."""
        try:
            try:
                await self._hydrate_async(job, refs)
            except BaseException as error:
                if bridge.cancelled_from_outside(error):
                    self.ended(job)
                    self._skip("interrupted")
                    raise
                self._not_hydrated(job, error)
        except BaseException as error:
            job.let_go = True
            if bridge.cancelled_from_outside(error) or sent_from_outside(error):
                raise

    async def _hydrate_async(self, job: Job, refs: list[Ref]) -> None:
        import asyncio

        started = job.base_read = perf_counter()
        try:
            async with asyncio.timeout(self._options.hydrate_timeout):
                for sister, group in by_sister(refs).items():
                    reading = await sister.aread_production(group, timeout=self._options.hydrate_timeout)
                    self._took(job, reading.records)
        except TimeoutError:
            raise _Slow from None
        self._hydrated(job, started)

    def _hydrated(self, job: Job, started: float) -> None:
        now = perf_counter()
        if now - started > self._options.hydrate_timeout:
            raise _Slow
        job.started = now
        job.entered += now - started  # it has a limit of its own, and is no slowness of ours

    def _took(self, job: Job, records: Iterable[Record]) -> None:
        job.base = {**job.base, **{record.ref: record for record in records}}

    def _not_hydrated(self, job: Job, error: BaseException) -> None:
        """Let a call go whose records could not be read; it is served all the same."""
        job.let_go = True
        self.ended(job)
        if isinstance(error, _Slow | StoreUnavailable):
            if not isinstance(error, _Slow):
                self.guard.count("hydrate", error)
            self._skip("hydrate")
        else:
            self.guard.absorb("hydrate", error)
            self._counts.add(Verdict.BROKEN, "hydrate")
        self._leave(job.entered)

    def _hand_over(self, job: Job, ended: float, value: Any, error: BaseException | None) -> None:
        if job.let_go:
            return
        if job.ticket is not None:
            job.undisturbed = job.ticket.alone
            job.ticket.served()
            if job.ticket.met and error is None and not self._guess(job, ended):
                return
        super()._hand_over(job, ended, value, error)
        if not job.taken:
            self.ended(job)

    def _guess(self, job: Job, ended: float) -> bool:
        """Tell what a write may have made, as others that are not judged yet must know; false if that failed."""
        try:
            self._get_mirror().contest.guess(job.name, job.found().values())
        except BaseException as error:
            job.entered += ended - job.started  # serving is no slowness of ours
            self._not_hydrated(job, error)
        return not job.let_go

    def _note_answer(self, job: Job, value: Any) -> None:
        """Ask for what only the answer tells: the entity of a new record, and the order of writes to one entity."""
        options = self._options
        asks_key = job.key is None and options.key is not None
        asks_change = options.change is not None and value is not MISSING
        if not asks_key and not asks_change:
            return
        early = job.early or (job.call() if job.arguments else self._call_of(job.args, job.kwargs, job.number))
        call = Call(early.id, early.experiment, early.at, early.args, early.kwargs, value, early.parameters)
        if asks_key:
            job.key = self._key_of(call, last=value is not MISSING)
            if job.key is not None:
                job.ticket = job.ticket or self._get_mirror().overlap.enter()
                job.ticket.served()
                job.ticket.add((job.key,), late=True)
                job.undisturbed = job.undisturbed and job.ticket.alone
            elif job.refs:
                job.key = hash(job.refs[0])
        if asks_change:
            self._note_order(job, call)
        job.early = None

    def _note_order(self, job: Job, call: Call) -> None:
        assert self._options.change is not None
        try:
            change = self._options.change(call)
        except BaseException as error:
            if sent_from_outside(error):
                raise
            return  # it is asked again, and counted, off the caller's path
        job.order = change if type(change) is int else None

    def ended(self, job: Job) -> None:
        """Let go of the entity."""
        if job.ticket is not None:
            job.ticket.release()


def _in_time(sister: SisterStore, refs: list[Ref], end: float) -> Parted[Reading]:
    """Read production; each store has what is left of the time when it is its turn."""
    left = end - perf_counter()
    if left <= 0:
        raise _Slow
    return (yield from sister.reading_production(refs, timeout=left))
