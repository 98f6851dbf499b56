"""
Codecs: bytes to value and back, as one service does it in a cache or a stream.

They are strict, because they are to show what another program could not read. Whatever `decode` raises makes a record
`Undecodable`, and whatever `encode` raises is raised to whoever writes. Each is loaded at first use, so that a package
that one of them needs is asked for by nobody else.

    MemcachedStore("10.0.0.1:11211", codec={"comment:": Json(), "session:": Compressed(Json())})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shadowmig.wire.codecs.framing import Compressed as Compressed
    from shadowmig.wire.codecs.framing import Serde as Serde
    from shadowmig.wire.codecs.json import Json as Json
    from shadowmig.wire.codecs.raw import Raw as Raw

_HOMES = {"Compressed": "framing", "Json": "json", "Raw": "raw", "Serde": "framing"}

__all__ = ["Compressed", "Json", "Raw", "Serde"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *(name for name in _HOMES if name not in globals())]
