"""
Where findings go: one sink a file, each loaded at first use.

A sink is any callable that takes a `shadowmig.model.Batch`; see `shadowmig.protocols.Sink`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shadowmig.sinks.jsonl import JsonLines as JsonLines
    from shadowmig.sinks.log import Log as Log
    from shadowmig.sinks.memory import Memory as Memory

_HOMES = {"JsonLines": "jsonl", "Log": "log", "Memory": "memory"}

__all__ = ["JsonLines", "Log", "Memory"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *(name for name in _HOMES if name not in globals())]
