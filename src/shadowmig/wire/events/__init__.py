"""
Streams of events: production's and the sister's matched with each other, and every change counted with its event.

Each name is loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadowmig.lazily import front_door

if TYPE_CHECKING:
    from shadowmig.wire.events.completeness import Completeness as Completeness
    from shadowmig.wire.events.completeness import CompletenessFault as CompletenessFault
    from shadowmig.wire.events.completeness import CompletenessReport as CompletenessReport
    from shadowmig.wire.events.completeness import FaultKind as FaultKind
    from shadowmig.wire.events.completeness import side_by_side as side_by_side
    from shadowmig.wire.events.event import Event as Event
    from shadowmig.wire.events.event import EventSource as EventSource
    from shadowmig.wire.events.event import Page as Page
    from shadowmig.wire.events.memory import MemoryEvents as MemoryEvents
    from shadowmig.wire.events.redis import RedisEvents as RedisEvents
    from shadowmig.wire.events.report import EventFault as EventFault
    from shadowmig.wire.events.report import EventReport as EventReport
    from shadowmig.wire.events.report import EventVerdict as EventVerdict
    from shadowmig.wire.events.stream import EventStream as EventStream
    from shadowmig.wire.events.tuning import EventTuning as EventTuning

_HOMES = {
    "Completeness": "completeness",
    "CompletenessFault": "completeness",
    "CompletenessReport": "completeness",
    "Event": "event",
    "EventFault": "report",
    "EventReport": "report",
    "EventSource": "event",
    "EventStream": "stream",
    "EventTuning": "tuning",
    "EventVerdict": "report",
    "FaultKind": "completeness",
    "MemoryEvents": "memory",
    "Page": "event",
    "RedisEvents": "redis",
    "side_by_side": "completeness",
}

__all__ = [
    "Completeness",
    "CompletenessFault",
    "CompletenessReport",
    "Event",
    "EventFault",
    "EventReport",
    "EventSource",
    "EventStream",
    "EventTuning",
    "EventVerdict",
    "FaultKind",
    "MemoryEvents",
    "Page",
    "RedisEvents",
    "side_by_side",
]

__getattr__, __dir__ = front_door(globals(), _HOMES)
