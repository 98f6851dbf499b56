"""Defects of the version, which race verdicts stand on."""

from __future__ import annotations

import time
from typing import Any

from shadowmig.testing.storm.candidate import Candidate, Change
from shadowmig.testing.storm.defects import ANSWER, Place, everywhere, planted
from shadowmig.testing.storm.service import Row, Rows

_DELETE = [Place("events", "$.version", "changed"), Place(ANSWER, "$.version", "changed")]


@planted(everywhere("version"), _DELETE)
class VersionNotBumped(Candidate):
    """The version stays as it was."""

    def next_version(self, row: Row) -> Any:
        return row["version"]


@planted(everywhere("version"))
class VersionNotBumpedByVote(Candidate):
    """A vote does not change the version."""

    def load(self, rows: Rows, change: Change) -> Row:
        row = super().load(rows, change)
        if change.write == "vote":
            change.version = row["version"]
        return row


@planted(everywhere("version"), _DELETE)
class VersionBumpedTwice(Candidate):
    """The version goes up by two."""

    def next_version(self, row: Row) -> Any:
        return row["version"] + 2


@planted(everywhere("version"), _DELETE)
class VersionInvented(Candidate):
    """The version is the time in milliseconds."""

    def next_version(self, row: Row) -> Any:
        return int(time.time() * 1000)


@planted(everywhere("version"))
class VersionStartsAtZero(Candidate):
    """A new comment has version 0."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "version": 0} if change.write == "create" else values
