"""Defects of single fields: what is written to the row, and from there to cache, event and answer."""

from __future__ import annotations

import html
import threading
import unicodedata
from datetime import timedelta
from typing import Any

from shadowmig.testing.storm.candidate import Candidate, Change
from shadowmig.testing.storm.defects import everywhere, planted
from shadowmig.testing.storm.service import Row, Rows


class _Body(Candidate):
    """Spoils the text before it is written."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "body": self.spoil(values["body"])} if "body" in values else values

    def spoil(self, body: str) -> str:
        raise NotImplementedError


@planted(everywhere("body"))
class BodyTruncated(_Body):
    """A text is cut after 40 characters."""

    def spoil(self, body: str) -> str:
        return body[:40]


@planted(everywhere("body"))
class BodyCutInBytes(_Body):
    """A text is cut after 60 bytes of UTF-8, which may be within a character."""

    def spoil(self, body: str) -> str:
        return body.encode()[:60].decode(errors="replace")


@planted(everywhere("body"))
class BodyMisEncoded(_Body):
    """The bytes of a text are UTF-8 and are read as Latin-1."""

    def spoil(self, body: str) -> str:
        return body.encode().decode("latin-1")


@planted(everywhere("body"))
class BodyEscaped(_Body):
    """A text is HTML-escaped before it is stored."""

    def spoil(self, body: str) -> str:
        return html.escape(body)


@planted(everywhere("body"))
class BodyNormalized(_Body):
    """A text is put into Unicode's composed form."""

    def spoil(self, body: str) -> str:
        return unicodedata.normalize("NFC", body)


@planted(everywhere("body"))
class BodyStripped(_Body):
    """White space at the end of a text is taken off."""

    def spoil(self, body: str) -> str:
        return body.rstrip()


@planted(everywhere("body"))
class EmojiReplaced(_Body):
    """A character above U+FFFF becomes a question mark: a three-byte UTF-8 column."""

    def spoil(self, body: str) -> str:
        return "".join(char if ord(char) < 0x10000 else "?" for char in body)


@planted(everywhere("flair"), everywhere("flair", kind="type"))
class FlairDropped(Candidate):
    """An edit does not write the flair."""

    def values(self, change: Change, values: Row) -> Row:
        return {name: value for name, value in values.items() if name != "flair" or change.write != "update"}


@planted(everywhere("flair", kind="type"))
class FlairNullForEmpty(Candidate):
    """An empty flair is stored as NULL."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "flair": values["flair"] or None} if "flair" in values else values


@planted(everywhere("flair", kind="type"))
class FlairEmptyForNull(Candidate):
    """No flair is stored as an empty one."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "flair": values["flair"] or ""} if "flair" in values else values


@planted(everywhere("edited_at"), everywhere("edited_at", kind="type"))
class EditNotDated(Candidate):
    """An edit does not set the time of the edit."""

    def values(self, change: Change, values: Row) -> Row:
        return {name: value for name, value in values.items() if name != "edited_at" or change.write == "create"}


class _Times(Candidate):
    """Spoils the times before they are written."""

    def values(self, change: Change, values: Row) -> Row:
        spoilt = {name: self.spoil(values[name]) for name in ("created_at", "edited_at") if values.get(name)}
        return {**values, **spoilt}

    def spoil(self, at: Any) -> Any:
        raise NotImplementedError


@planted(everywhere("created_at", "edited_at"))
class TimeOfWrongZone(_Times):
    """Times are local ones, two hours ahead, stored as UTC."""

    def spoil(self, at: Any) -> Any:
        return at + timedelta(hours=2)


@planted(everywhere("created_at", "edited_at"))
class TimeWithoutMicroseconds(_Times):
    """Times have milliseconds only."""

    def spoil(self, at: Any) -> Any:
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


@planted(everywhere("created_at"))
class CreationTimeOverwritten(Candidate):
    """An edit sets the time of creation too."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "created_at": change.at} if change.write == "update" else values


@planted(everywhere("weight"))
class WeightRounded(Candidate):
    """The weight has two decimals."""

    def weigh(self, body: str) -> float:
        return round(super().weigh(body), 2)


@planted(everywhere("weight"))
class WeightCountsBytes(Candidate):
    """The weight counts bytes, not characters."""

    def weigh(self, body: str) -> float:
        return len(body.encode()) / 7


@planted(everywhere("weight"))
class WeightNotUpdated(Candidate):
    """An edit leaves the weight, which is worked out from the text, as it was."""

    def values(self, change: Change, values: Row) -> Row:
        return {name: value for name, value in values.items() if name != "weight" or change.write == "create"}


@planted(everywhere("pinned", "language", kind="type"))
class DefaultsNotStored(Candidate):
    """Defaults live in the code: a new row has NULL where nothing was chosen."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "pinned": None, "language": None} if change.write == "create" else values


@planted(everywhere("author"))
class AuthorLowered(Candidate):
    """The author's name is stored in lower case."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "author": values["author"].lower()} if "author" in values else values


@planted(everywhere("tags", kind="order"), everywhere("tags"))
class TagsSorted(Candidate):
    """Tags are sorted."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "tags": sorted(values["tags"])} if "tags" in values else values


@planted(everywhere("tags"), everywhere("tags", kind="order"))
class TagsDistinct(Candidate):
    """A tag that is given twice is stored once."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "tags": list(dict.fromkeys(values["tags"]))} if "tags" in values else values


@planted(everywhere("tags"), everywhere("tags", kind="order"))
class TagsMerged(Candidate):
    """An edit adds its tags to those that are there."""

    def values(self, change: Change, values: Row) -> Row:
        if change.write != "update" or change.before is None:
            return values
        return {**values, "tags": [*change.before["tags"], *values["tags"]]}


class _Score(Candidate):
    """Spoils the score before it is written."""

    def values(self, change: Change, values: Row) -> Row:
        return {**values, "score": self.spoil(change, values["score"])} if change.write == "vote" else values

    def spoil(self, change: Change, score: int) -> int:
        raise NotImplementedError


@planted(everywhere("score"))
class ScoreOffByOne(_Score):
    """A vote counts one too many."""

    def spoil(self, change: Change, score: int) -> int:
        return score + 1


@planted(everywhere("score"))
class ScoreClamped(_Score):
    """A score does not go below zero."""

    def spoil(self, change: Change, score: int) -> int:
        return max(score, 0)


@planted(everywhere("score"))
class DownvoteAdds(_Score):
    """A vote against counts as one for it."""

    def spoil(self, change: Change, score: int) -> int:
        assert change.before is not None
        before: int = change.before["score"]
        return before + abs(score - before)


@planted(everywhere("score"))
class VoteLost(_Score):
    """A vote is added to the score that this worker read before, up to three votes ago: lost updates."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self._seen: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def load(self, rows: Rows, change: Change) -> Row:
        row = super().load(rows, change)
        if change.write != "vote" or change.comment_id is None:
            return row
        with self._lock:
            score, uses = self._seen.get(change.comment_id, (0, 0))
            score, uses = (score, uses - 1) if uses else (row["score"], 3)
            self._seen[change.comment_id] = score, uses
        return {**row, "score": score}

    def spoil(self, change: Change, score: int) -> int:
        return score
