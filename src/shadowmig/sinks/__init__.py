"""
Where findings go: one sink a file, each loaded at first use.

A sink is any callable that takes a `shadowmig.model.Batch`; see `shadowmig.protocols.Sink`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadowmig.lazily import front_door

if TYPE_CHECKING:
    from shadowmig.sinks.jsonl import JsonLines as JsonLines
    from shadowmig.sinks.log import Log as Log
    from shadowmig.sinks.memory import Memory as Memory

_HOMES = {"JsonLines": "jsonl", "Log": "log", "Memory": "memory"}

__all__ = ["JsonLines", "Log", "Memory"]

__getattr__, __dir__ = front_door(globals(), _HOMES)
