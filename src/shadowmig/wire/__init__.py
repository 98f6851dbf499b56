"""
What crosses from one language to another: codecs, each loaded at first use.

A codec is any object of the shape of `shadowmig.protocols.Codec`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shadowmig.wire.codecs import Compressed as Compressed
    from shadowmig.wire.codecs import Json as Json
    from shadowmig.wire.codecs import Raw as Raw
    from shadowmig.wire.codecs import Serde as Serde

_HOMES = {"Compressed": "codecs", "Json": "codecs", "Raw": "codecs", "Serde": "codecs"}

__all__ = ["Compressed", "Json", "Raw", "Serde"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *(name for name in _HOMES if name not in globals())]
