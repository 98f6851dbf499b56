"""
The storm: many writers on few hot records through three stores, with a candidate that is right or has a planted defect.

``python -m shadowmig.testing.storm`` runs it and prints how many defects were found, how many false alarms there were,
how much was raced, and after how many calls each defect showed.

It proves the write experiment, and it can prove yours: `register` a `Defect` that you fear, in a module of your own,
and run it with ``--load your.module --defect its-name``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadowmig.lazily import front_door

if TYPE_CHECKING:
    from shadowmig.testing.storm.candidate import Candidate as Candidate
    from shadowmig.testing.storm.candidate import Change as Change
    from shadowmig.testing.storm.defects import Defect as Defect
    from shadowmig.testing.storm.defects import Place as Place
    from shadowmig.testing.storm.defects import catalogue as catalogue
    from shadowmig.testing.storm.defects import register as register
    from shadowmig.testing.storm.run import Outcome as Outcome
    from shadowmig.testing.storm.run import storm as storm
    from shadowmig.testing.storm.sites import MemorySite as MemorySite
    from shadowmig.testing.storm.sites import RealSite as RealSite

_HOMES = {
    "Candidate": "candidate",
    "Change": "candidate",
    "Defect": "defects",
    "MemorySite": "sites",
    "Outcome": "run",
    "Place": "defects",
    "RealSite": "sites",
    "catalogue": "defects",
    "register": "defects",
    "storm": "run",
}

__all__ = [
    "Candidate",
    "Change",
    "Defect",
    "MemorySite",
    "Outcome",
    "Place",
    "RealSite",
    "catalogue",
    "register",
    "storm",
]

__getattr__, __dir__ = front_door(globals(), _HOMES)
