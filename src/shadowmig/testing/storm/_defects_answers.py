"""Defects of the answer, the stores being right."""

from __future__ import annotations

from typing import Any

from shadowmig.testing.storm.candidate import Candidate, Change, plain
from shadowmig.testing.storm.defects import ANSWER, FIELDS, Place, planted, stale


@planted(stale(ANSWER, *FIELDS))
class AnswerOfOldState(Candidate):
    """The answer has the state before the change."""

    def answer(self, change: Change) -> Any:
        answer = super().answer(change)
        return answer if change.before is None or change.after is None else {**answer, **change.before}


@planted(Place(ANSWER, "$.weight", "missing"))
class AnswerLacksField(Candidate):
    """The answer does not have the weight."""

    def answer(self, change: Change) -> Any:
        answer = super().answer(change)
        answer.pop("weight", None)
        return answer


@planted(Place(ANSWER, "$", "type"))
class AnswerIsNone(Candidate):
    """A delete answers nothing."""

    def answer(self, change: Change) -> Any:
        return None if change.write == "delete" else super().answer(change)


@planted(stale(ANSWER, "created_at", "edited_at", "at"))
class AnswerTimesAreText(Candidate):
    """The answer has times as text."""

    def answer(self, change: Change) -> Any:
        return plain(super().answer(change))


@planted(Place(ANSWER, "$.id", "type"))
class AnswerIdIsText(Candidate):
    """The answer has the id as text."""

    def answer(self, change: Change) -> Any:
        return {**super().answer(change), "id": str(change.comment_id)}
