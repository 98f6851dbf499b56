"""How a record of production is called and looks in a sister that is another kind of store, or has another schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from attrs import Attribute, evolve, field, frozen

from shadowmig.errors import ConfigError, StoreError
from shadowmig.model import Record, Ref, Undecodable

T = TypeVar("T", Ref, Record)

ORIGIN: Final = "origin"
"""The key of ``meta`` that keeps production's own record beside its common form, so that it can be hydrated."""


def _function(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise ConfigError(
            f"{attribute.name} is {value!r}, which cannot be called.",
            remedy="Use a function of a Ref or a Record that returns another one, or None.",
            field=attribute.name,
            value=value,
        )


@frozen(kw_only=True)
class Translation:
    """
    What lies between production and a sister of another kind or schema. Each part is a function, or ``None`` for "as
    it is"; refs are always given and asked for as production has them.

    The functions run off the caller's path; for a handler on an event loop `production` is asked on the loop for the
    records of ``hydrate=``. They must not change what they are given (``attrs.evolve`` makes a changed copy). Those of
    records are not called for a record that is not there or whose bytes cannot be read. An exception in one becomes a
    `StoreError`.

    Args:
        ref: Production's ref to the sister's.
        back: The sister's ref to production's. Needed, if there is a `ref`, to find records that the checked side
            changed although nobody asked for them; without it only those asked for are told of.
        hydrate: Production's record, as its store read it, to what is written to the sister.
        production: Production's record to the form in which the two are compared.
        sister: The sister's record to that form: value, ``version`` and ``meta``.

    Raises:
        ConfigError: One of them cannot be called.
    """

    ref: Callable[[Ref], Ref] | None = field(default=None, validator=_function)
    back: Callable[[Ref], Ref] | None = field(default=None, validator=_function)
    hydrate: Callable[[Record], Record] | None = field(default=None, validator=_function)
    production: Callable[[Record], Record] | None = field(default=None, validator=_function)
    sister: Callable[[Record], Record] | None = field(default=None, validator=_function)

    @property
    def goes_back(self) -> bool:
        """Whether every record of the sister can be named as production's."""
        return self.ref is None or self.back is not None

    def to_sister(self, ref: Ref) -> Ref:
        """Say where in the sister a record lies."""
        return _applied(self.ref, ref, ref, "ref")

    def to_production(self, ref: Ref) -> Ref:
        """Say which record of production one of the sister stands for."""
        return _applied(self.back, ref, ref, "back")

    def hydrated(self, record: Record) -> Record:
        """Make of a record that was read from production what is written to the sister, ref included."""
        record = record.meta.get(ORIGIN, record)
        there, place = _of_record(self.hydrate, record, "hydrate"), self.to_sister(record.ref)
        return there if there.ref is place else evolve(there, ref=place)

    def from_production(self, record: Record) -> Record:
        """Bring a record of production to the common form, with the original kept for `hydrated`."""
        common = _of_record(self.production, record, "production")
        return record if common is record else evolve(common, ref=record.ref, meta={**common.meta, ORIGIN: record})

    def from_sister(self, record: Record) -> Record:
        """Bring a record of the sister, by the ref it was asked for, to the common form."""
        common = _of_record(self.sister, record, "sister")
        return record if common is record else evolve(common, ref=record.ref)


def _of_record(function: Callable[[Record], Record] | None, record: Record, part: str) -> Record:
    if not record.exists or isinstance(record.value, Undecodable):
        return record
    return _applied(function, record, record.ref, part)


def _applied(function: Callable[[T], T] | None, given: T, ref: Ref, part: str) -> T:
    if function is None:
        return given
    where = f"a {ref.kind} of {ref.store}" + (f" in {ref.space}" if ref.space else "")
    remedy = f"Correct the function given as Translation({part}=...)."
    try:
        result = function(given)
    except Exception as error:
        raise StoreError(
            f"{part} raised {type(error).__name__} for {where}.", remedy=remedy, store=ref.store
        ) from error
    if not isinstance(result, type(given)):
        raise StoreError(
            f"{part} returned a {type(result).__name__} for {where}, not a {type(given).__name__}.",
            remedy=remedy,
            store=ref.store,
        )
    return result
