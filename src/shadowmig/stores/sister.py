"""
A production store and its isolated twin, as one object.

**When:** a handler writes. The same record cannot be written twice to production, so the checked side writes to the
sister, and the records of both are compared.
**Example:** ``db = SisterStore(production=PostgresStore(PROD, tables=TABLES), sister=PostgresStore(SISTER,
tables=TABLES))``; the handler works with ``db.client()``, the experiment names records with ``db.row("comments", 7)``.
**Units:** ``ttl_tolerance`` and ``keep`` are seconds.
**When it is down** (the sister): `StoreUnavailable` for whoever verifies. Ordinary code keeps getting production's
client, which has nothing to do with the sister.

Danger: `SisterStore.client` and the refusal of production go by a context variable. Tasks inherit it; a thread that
the checked side starts does not: start it by ``contextvars.copy_context().run``, as `asyncio.to_thread` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shadowmig.errors import ConfigError, StoreUnavailable
from shadowmig.given import seconds
from shadowmig.model import Differences, Reading, Record, Ref
from shadowmig.protocols import Comparator, Store
from shadowmig.stores import _sister_copy, _sister_options, _sister_readings
from shadowmig.stores._sister_differences import differences, equal
from shadowmig.stores._sister_pair import Pair
from shadowmig.stores._sister_translation import Translation
from shadowmig.stores.parted import Parted
from shadowmig.stores.tables import Table

if TYPE_CHECKING:
    from shadowmig.stores._pg_backfill import Progress
    from shadowmig.stores._pg_provision import Provisioned

__all__ = ["SisterStore", "Translation"]


class SisterStore(Pair):
    """
    A production store and its isolated twin, which only the checked side writes.

    Who gets which follows from the role, not from the side: **served means production, checked means sister**. In stage
    SHADOW the candidate is checked and gets the sister. In stage LIVE it is served and writes production, and the
    control, checked now, gets the sister.

    Nothing is written to the sister before it is proved to be another store than production; see `prove`. The
    verifier's own connections to production are made unable to write when this object is built, and the checked side
    is refused production by every handle that goes through `production` or this object.

    Building one connects to nothing. All methods are safe for threads, and a forked child proves for itself.

    Args:
        production: The store that users depend on.
        sister: Its twin: the same kind of store with the same schema, or another with a `Translation`.
        name: What refs and findings call it; letters, digits, ``_``, ``-`` and ``.``. By default the kind of the
            production store: ``"postgres"`` for a PostgresStore.
        translation: How production's records are called and look in the sister; by default the same.
        compare: Compares the values of this store's records; by default what the experiment compares answers with.
        ttl_tolerance: Seconds by which times to live may differ.
        keep: Seconds for which a hydrated record stays in the sister after its last use; see `expire`. ``None``: for
            ever, for a sister that holds all of production's records because it was backfilled.

    Raises:
        ConfigError: An option is wrong.
    """

    def __init__(
        self,
        *,
        production: Store,
        sister: Store,
        name: str = "",
        translation: Translation | None = None,
        compare: Comparator | None = None,
        ttl_tolerance: float | timedelta = 2.0,
        keep: float | timedelta | None = 3600.0,
    ) -> None:
        super().__init__(production=production, sister=sister, name=name)
        if not isinstance(translation, Translation | None):
            raise ConfigError(
                f"translation is {translation!r}.",
                remedy="Use Translation(...).",
                field="translation",
                value=translation,
            )
        self._translation = translation or Translation()
        self._compare = _sister_options.comparator(compare)
        self._tolerance = seconds(ttl_tolerance, "ttl_tolerance", zero=True)
        self._keep = None if keep is None else seconds(keep, "keep")
        self._take_roles()

    # Reading.

    def read_production(self, refs: Sequence[Ref], since: Any = None, timeout: float | None = None) -> Reading:
        """
        Read production's records.

        Args:
            refs: Their addresses, made by this object.
            since: A mark of an earlier reading of production: tell also what changed since.
            timeout: Seconds, if shorter than the store's own.

        Returns:
            The records in their common form (see `Translation`), with the refs that were asked for.

        Raises:
            ProductionRefused: The checked side asks.
            StoreUnavailable: Production could not be reached.
            StoreError: It refused, or a ref is not of this store.
        """
        self._refuse()
        self._own(refs)
        reading = self._production.read(refs, since=since, timeout=timeout)
        return _sister_readings.of_production(refs, reading, owner=self, translation=self._translation)

    def reading_production(self, refs: Sequence[Ref], timeout: float | None = None) -> Parted[Reading]:
        """Do what `read_production` does, in parts if the store can."""
        self._refuse()
        self._own(refs)
        if self._parted is not None:
            reading = yield from self._parted.reading(refs, timeout=timeout)
        else:
            begun = time.monotonic()
            yield None
            if timeout is not None and (timeout := timeout - (time.monotonic() - begun)) <= 0:
                raise StoreUnavailable(f"{self._production!r} had no time left.", store=self._name)
            reading = self._production.read(refs, timeout=timeout)
        return _sister_readings.of_production(refs, reading, owner=self, translation=self._translation)

    async def aread_production(self, refs: Sequence[Ref], since: Any = None, timeout: float | None = None) -> Reading:
        """Do what `read_production` does, on an event loop; in a thread if the store cannot."""
        self._refuse()
        self._own(refs)
        if self._async is not None:
            reading = await self._async.aread(refs, since=since, timeout=timeout)
        else:
            import asyncio

            reading = await asyncio.to_thread(self._production.read, refs, since=since, timeout=timeout)
        return _sister_readings.of_production(refs, reading, owner=self, translation=self._translation)

    def read_sister(self, refs: Sequence[Ref], since: Any = None, timeout: float | None = None) -> Reading:
        """
        Read the sister's records.

        Args:
            refs: Their addresses, made by this object: as production has them.
            since: A mark of an earlier reading of the sister: tell also what changed since.
            timeout: Seconds, if shorter than the store's own.

        Returns:
            The records in their common form (see `Translation`), with the refs that were asked for. Reading hydrated
            records is a use of them; see `expire`.

        Raises:
            StoreUnavailable: The sister could not be reached.
            StoreError: It refused, or a ref is not of this store.
        """
        self._own(refs)
        places = [self._translation.to_sister(ref) for ref in refs]
        ledger = self._state().ledger
        ledger.used(refs, now=time.monotonic())
        reading = self._at_sister(lambda: self._sister.read(places, since=since, timeout=timeout))
        ledger.seen(refs, reading.records)
        return _sister_readings.of_sister(refs, places, reading, owner=self, translation=self._translation)

    # Writing the sister.

    def hydrate(self, records: Sequence[Record]) -> None:
        """
        Bring the sister into the state in which production was, and remember the records for `expire`.

        Args:
            records: As `read_production` gave them. One that is not there is removed from the sister.

        Raises:
            NotIsolated: The sister is not proved to be another store; nothing was written.
            StoreUnavailable: The sister, or production for the proof, could not be reached.
            StoreError: It refused, or a ref is not of this store.
        """
        if translated := self._translated(records):
            places = {record.ref: there.ref for record, there in zip(records, translated, strict=True)}
            if self._keep is not None:
                self._state().ledger.enter(places, now=time.monotonic())
            self._at_sister(lambda: self._sister.write(translated))

    def write(self, records: Sequence[Record]) -> None:
        """Do what `hydrate` does for records that are to stay: `expire` does not touch them."""
        if translated := self._translated(records):
            self._at_sister(lambda: self._sister.write(translated))

    def version_of(self, ref: Ref, value: Any) -> Any:
        """Take the version out of a record's value, as production's store does; ``None`` if it cannot tell."""
        take = getattr(self._production, "version_of", None)
        return None if take is None else take(ref, value)

    def lend(self, refs: Iterable[Ref]) -> None:
        """Have `expire` remove these records too, whoever made them, once they were not used for `keep` seconds."""
        places = {ref: self._translation.to_sister(ref) for ref in refs}
        self._state().ledger.enter(places, now=time.monotonic())

    def used(self, refs: Iterable[Ref]) -> None:
        """Keep hydrated records in the sister for longer: for ``keep`` seconds from now."""
        self._state().ledger.used(list(refs), now=time.monotonic())

    def expire(self, now: float | None = None) -> int:
        """
        Remove from the sister what was hydrated and not used for ``keep`` seconds, by at most 500 records at a time.

        A use is to be hydrated, to be read by `read_sister`, or `used`. A record goes only with the token, or else the
        bytes, that `read_sister` saw last. If another process or a handler has written it since, or if it was never
        read, it is looked at now, and goes ``keep`` seconds later unless it has changed again. A process remembers
        100 000 records; what is above leaves early.

        Cheap if there is nothing to do, so it may be called often.

        Args:
            now: Seconds of the monotonic clock; by default the time.

        Returns:
            How many records were removed.

        Raises:
            NotIsolated: The sister is not proved to be another store; nothing was removed.
            StoreUnavailable: The sister could not be reached; the records are tried again after ``keep`` seconds.
            StoreError: It refused; likewise.
        """
        moment, keep, state = time.monotonic() if now is None else now, self._keep, self._state()
        if keep is None or not state.ledger.due(keep=keep, now=moment):
            return 0
        state.proof.require()
        return self._at_sister(lambda: state.ledger.expire(self._sister, keep=keep, now=moment))

    def reset(self) -> None:
        """
        Remove all records that refs of this store could lead to from the sister, and keep its schema.

        Raises:
            NotIsolated: The sister is not proved to be another store; nothing was removed.
            StoreUnavailable: It could not be reached.
            StoreError: It refused.
        """
        state = self._state()
        state.proof.require()
        self._at_sister(self._sister.reset)
        state.ledger.clear()

    def provision(self, tables: Sequence[Table | str] | None = None) -> Provisioned | None:
        """
        Give the sister the schema of production: tables and what they need, such as types, indexes and sequences.

        For Postgres, where production is only read, and what the sister has already stays. Foreign keys are left out,
        because a sister holds only part of the rows. Two MemoryStores need nothing.

        Args:
            tables: The tables, or their names; by default those that the production store knows.

        Returns:
            What was made, what was there, and what was left out and why; ``None`` if nothing was needed.

        Raises:
            ConfigError: A table's name cannot be one.
            NotIsolated: The sister is not proved to be another store; nothing was written.
            StoreUnavailable: One of them could not be reached.
            StoreError: This kind of store cannot, a name is taken in the sister by something else, or one refused.
        """
        self.prove()
        return self._at_sister(lambda: _sister_copy.provision(self._production, self._sister, tables))

    def backfill(
        self,
        tables: Sequence[Table | str] | None = None,
        *,
        where: Mapping[str, str] | None = None,
        batch: int = 5_000,
        rate: float | None = None,
        progress: Callable[[Progress], object] | None = None,
        restart: bool = False,
    ) -> Mapping[str, int]:
        """
        Copy rows from production to the sister; for Postgres.

        It goes on where an earlier run was stopped. Rows that are there already are replaced by production's.

        Args:
            tables: The tables, or their names; by default those that the production store knows.
            where: By the table's name, an SQL condition for its rows. It is run as it is: code, not data.
            batch: Most rows in one transaction.
            rate: Most rows a second; ``None`` for no limit.
            progress: Called after each batch with ``table``, ``rows``, ``total`` (``None`` if unknown), ``seconds`` and
                ``done``. What it raises ends the run, which can go on later.
            restart: Whether to start anew.

        Returns:
            Rows copied by this run, by the table's schema and name.

        Raises:
            ConfigError: An option is wrong.
            NotIsolated: The sister is not proved to be another store; nothing was written.
            StoreUnavailable: One of them could not be reached; what was copied stays.
            StoreError: This kind of store cannot, or one of them refused; likewise.
        """
        self.prove()
        return self._at_sister(
            lambda: _sister_copy.backfill(
                self._production,
                self._sister,
                tables,
                where=where,
                batch=batch,
                rate=rate,
                progress=progress,
                restart=restart,
            )
        )

    # Comparing.

    def differences(
        self, control: Record, candidate: Record, *, compare: Comparator | None = None, slack: float = 0.0
    ) -> Differences:
        """
        Compare two records of this store: whether they exist, their values, and what the stores keep beside them.

        Besides the value (paths from ``$``) these are compared where both sides know them: the time to live
        (``@ttl``, within ``ttl_tolerance``), ``@type``, ``@flags`` and ``@count``. Two values whose bytes cannot be
        read are compared by their bytes.

        Args:
            control: Control's record: production's, unless the candidate is served.
            candidate: The candidate's.
            compare: Compares the values if this store has no ``compare`` of its own; by default ``==`` and the type.
            slack: Seconds between the two writes: times to live may differ by so much more.

        Returns:
            The differences, each with the ref of ``control``.

        Raises:
            CompareError: The comparator returned something that is not differences.
            Exception: Whatever the comparator raised.
        """
        return differences(
            control=control,
            candidate=candidate,
            compare=self._compare or compare or equal,
            tolerance=self._tolerance + slack,
        )

    def _translated(self, records: Sequence[Record]) -> list[Record]:
        """Say what is to be written to the sister, which from here on is known to be isolated."""
        self._own([record.ref for record in records])
        if records:
            self._state().proof.require()
        return [self._translation.hydrated(record) for record in records]
