"""Which side is at work in this context: set while the checked side runs off the caller's path, and only then."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from shadowmig.model import Side

CHECKED_SIDE: Final[ContextVar[Side | None]] = ContextVar("shadowmig_checked_side", default=None)


def checked_side() -> Side | None:
    """
    Tell code whether it runs as the checked side, off the caller's path.

    Returns:
        The side being checked, or ``None`` in ordinary code, where users wait for the answer. Use it to keep metrics,
        mails and other effects of a checked run apart.
    """
    return CHECKED_SIDE.get()
