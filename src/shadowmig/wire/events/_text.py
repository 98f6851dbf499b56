"""Texts that others bring, in a form that does no harm."""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import Final

BRIEF: Final = 200
"""Characters of a key above which it is not kept whole: some hundred thousand are."""


def said(error: Exception) -> str:
    """Say what an error says; one that cannot be asked has its kind alone."""
    with contextlib.suppress(Exception):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__


def brief(text: str) -> str:
    """Give a text that stands for one of any length, the same for the same."""
    if len(text) <= BRIEF:
        return text
    return f"{text[:BRIEF]}~{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
