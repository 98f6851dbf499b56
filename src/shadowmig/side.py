"""Which side is at work in this context, and where it writes: set while the checked side runs off the caller's path."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from shadowmig.model import Side

CHECKED_SIDE: Final[ContextVar[Side | None]] = ContextVar("shadowmig_checked_side", default=None)


MIRRORED: Final[ContextVar[bool]] = ContextVar("shadowmig_mirrored", default=False)
"""Whether what runs in this context writes to the sister stores: the checked side of a write."""


def checked_side() -> Side | None:
    """
    Tell code whether it runs as the checked side, off the caller's path.

    Returns:
        The side being checked, or ``None`` in ordinary code, where users wait for the answer. Use it to keep metrics,
        mails and other effects of a checked run apart.
    """
    return CHECKED_SIDE.get()
