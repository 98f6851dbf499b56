"""
Datastores: one adapter a file, each loaded at first use, and `SisterStore`, which makes a pair of them one object.

A store is any object of the shape of `shadowmig.protocols.Store`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadowmig.lazily import front_door

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

__getattr__, __dir__ = front_door(globals(), _HOMES)
