"""The stage table: which side is served and which one is checked, one row a stage."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from shadowmig.errors import ConfigError
from shadowmig.model import Side, Stage


@frozen
class Row:
    """
    What a stage means.

    Attributes:
        served: The side whose answer the caller gets.
        checked: The side that runs off the caller's path, or ``None`` if nothing is compared.
    """

    served: Side
    checked: Side | None


TABLE: Final[dict[Stage, Row]] = {
    Stage.OFF: Row(served=Side.CONTROL, checked=None),
    Stage.SHADOW: Row(served=Side.CONTROL, checked=Side.CANDIDATE),
    Stage.LIVE: Row(served=Side.CANDIDATE, checked=Side.CONTROL),
    Stage.COMPLETE: Row(served=Side.CANDIDATE, checked=None),
}


def as_stage(value: Stage | str) -> Stage:
    """
    Read a stage, or the name of one.

    Raises:
        ConfigError: It is none; the message lists the allowed names.
    """
    try:
        return Stage(value)
    except ValueError:
        allowed = ", ".join(stage.value for stage in Stage)
        raise ConfigError(
            f"stage is {value!r}.", remedy=f"Use a Stage or one of: {allowed}.", field="stage", value=value
        ) from None
