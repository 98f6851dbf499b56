"""
Datastores: one adapter a file, each loaded at first use, and `SisterStore`, which makes a pair of them one object.

A store is any object of the shape of `shadowmig.protocols.Store`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shadowmig.stores.memcached import MemcachedStore as MemcachedStore
    from shadowmig.stores.memory import MemoryStore as MemoryStore
    from shadowmig.stores.postgres import PostgresStore as PostgresStore
    from shadowmig.stores.redis import RedisStore as RedisStore
    from shadowmig.stores.sister import SisterStore as SisterStore
    from shadowmig.stores.sister import Translation as Translation
    from shadowmig.stores.streams import Stream as Stream
    from shadowmig.stores.tables import Table as Table

_HOMES = {
    "MemcachedStore": "memcached",
    "MemoryStore": "memory",
    "PostgresStore": "postgres",
    "RedisStore": "redis",
    "SisterStore": "sister",
    "Stream": "streams",
    "Table": "tables",
    "Translation": "sister",
}

__all__ = [
    "MemcachedStore",
    "MemoryStore",
    "PostgresStore",
    "RedisStore",
    "SisterStore",
    "Stream",
    "Table",
    "Translation",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *(name for name in _HOMES if name not in globals())]
