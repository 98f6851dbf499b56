"""The options of a write experiment, checked when it is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, Literal

from attrs import asdict, frozen

from shadowmig.engine.options import CommonArguments, ReadArguments, ReadOptions, function, read_options
from shadowmig.engine.renaming import Generated, generated
from shadowmig.errors import ConfigError
from shadowmig.given import seconds
from shadowmig.model import Call, Ref
from shadowmig.protocols import Sampler

EFFECTS: Final = ("state", "delta")
"""What is compared of a record: what it holds, or what the write changed in it."""


class WriteArguments(CommonArguments, total=False):
    """What ``Migration.write`` takes by name; it documents each."""

    touches: Callable[[Call], Iterable[Ref]]
    hydrate: Callable[[Call], Iterable[Ref]]
    carry: Callable[[Call], Mapping[str, Any]]
    version: Callable[[Call], Any]
    counter: bool
    generated: Iterable[str]
    effect: Literal["state", "delta"]
    settle: float | timedelta
    hydrate_timeout: float | timedelta


@frozen
class WriteOptions(ReadOptions):
    """
    How one write is compared; ``Migration.write`` documents each.

    Durations are seconds.
    """

    touches: Callable[[Call], Iterable[Ref]]
    hydrate: Callable[[Call], Iterable[Ref]] | None
    carry: Callable[[Call], Mapping[str, Any]] | None
    change: Callable[[Call], Any] | None
    counter: bool
    generated: tuple[Generated, ...]
    effect: str
    settle: float
    hydrate_timeout: float


def write_options(given: WriteArguments, *, sample: Sampler) -> WriteOptions:
    """
    Check the options of a write experiment and fill in the defaults.

    Args:
        given: What the user gave.
        sample: The migration's sampler.

    Raises:
        ConfigError: An option is unknown or wrong, or ``touches`` is not given.
    """
    known = WriteArguments.__optional_keys__
    for name in given:
        if name not in known:
            remedy = f"Use one of: {', '.join(sorted(known))}."
            raise ConfigError(f"There is no option {name!r}.", remedy=remedy, field=name)
    if given.get("touches") is None:
        raise ConfigError(
            "touches is not given.",
            remedy="Name the records that the write changes: touches=lambda call: [db.row(...), cache.key(...)].",
            field="touches",
        )
    effect = given.get("effect", "state")
    if effect not in EFFECTS:
        raise ConfigError(
            f"effect is {effect!r}.", remedy=f"Use {' or '.join(map(repr, EFFECTS))}.", field="effect", value=effect
        )
    shared = {name: value for name, value in given.items() if name in CommonArguments.__optional_keys__}
    common = read_options(ReadArguments(confirm=False, **shared), sample=sample)  # type: ignore[typeddict-item]  # checked by name above
    of_a_call = "Use a function of the call."
    return WriteOptions(
        **asdict(common, recurse=False),
        touches=function(given["touches"], "touches", of_a_call),
        hydrate=function(given.get("hydrate"), "hydrate", of_a_call),
        carry=function(given.get("carry"), "carry", of_a_call),
        change=function(given.get("version"), "version", of_a_call),
        counter=bool(given.get("counter", True)),
        generated=generated(given.get("generated", ())),
        effect=effect,
        settle=seconds(given.get("settle", 1.0), "settle"),
        hydrate_timeout=seconds(given.get("hydrate_timeout", 0.05), "hydrate_timeout"),
    )
