"""How much room, time and company the matching of events has."""

from __future__ import annotations

import math

from attrs import field, fields, frozen

from shadowmig.errors import ConfigError


@frozen
class EventTuning:
    """
    What an `EventStream` may use. The defaults suit some thousand events a second.

    Args:
        partitions: In how many parts the work is shared; the same in all processes, and at least as many as there are.
        lease: Seconds after which a process that is not heard of loses its partitions. More than one event takes in the
            codec, the comparator and the consumer, or that event is never done with.
        remember: Seconds for which an event is remembered after its verdict, at least, and for which one that was told
            as missing may still come. After a crash so much is read again, or twice that.
        budget: The share of one core that this process may use, above 0 to 1. Less where it serves users too.
        open: Events of one stream that may wait for the other. Above half of them, production is not read on before the
            sister has come as far; above all of them, the oldest are told as lost sight of.
        bytes: Bytes of the events that may wait; likewise.
        seen: Events that are remembered, at most twice as many, if more come within ``remember``.
        faults: Faults kept in the list, about; the oldest are dropped, and the counts stay.
        ahead: Seconds by which the sister's clock is before production's; by default it is measured.

    Raises:
        ConfigError: An option is wrong.
    """

    partitions: int = 8
    lease: float = field(default=10.0, kw_only=True)
    remember: float = field(default=60.0, kw_only=True)
    budget: float = field(default=1.0, kw_only=True)
    open: int = field(default=200_000, kw_only=True)
    bytes: int = field(default=512 * 1024 * 1024, kw_only=True)
    seen: int = field(default=200_000, kw_only=True)
    faults: int = field(default=100_000, kw_only=True)
    ahead: float | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        for one in fields(EventTuning):
            value = getattr(self, one.name)
            if one.name == "ahead":
                good = value is None or (_number(value) and math.isfinite(value))
            elif one.name in ("lease", "remember"):
                good = _number(value) and 0 < value < math.inf
            elif one.name == "budget":
                good = _number(value) and 0 < value <= 1
            else:
                good = type(value) is int and value >= 1
            if not good:
                raise ConfigError(
                    f"{one.name} is {value!r}.",
                    remedy="Use numbers of 1 or more, seconds, and a share of up to 1.",
                    field=one.name,
                    value=value,
                )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
