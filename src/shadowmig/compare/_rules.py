"""
The rules people write, and the form they are compiled to.

A rule says what holds at a path. `shadowmig.compare._states` turns all rules of a comparator into one automaton.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from attrs import field, frozen

from shadowmig.compare.paths import Segment


@frozen
class Rule:
    """
    A path to ignore, with the reason and a date by which it must be gone.

    Args:
        path: Where; the rule covers everything below it too.
        reason: Why, for the people who read the report.
        expires: The last day (UTC) on which it ignores. Afterwards its differences count, with a note.
    """

    path: str
    reason: str = field(default="", kw_only=True)
    expires: date | None = field(default=None, kw_only=True)

    def __str__(self) -> str:
        return self.path


@frozen(kw_only=True)
class Tolerance:
    """
    How far two numbers may be apart when at least one of them is a ``float`` (or ``complex``).

    Args:
        rel: Relative to the larger magnitude of the two, as in `math.isclose` (1e-9 is one part in a milliard).
        abs: In the unit of the numbers.
    """

    rel: float = 0.0
    abs: float = 0.0


@frozen(eq=False)
class Options:
    """What holds everywhere."""

    by_value: bool = False
    any_sequence: bool = False
    any_dict: bool = False
    same_zero: bool = False
    nfc: bool = False
    text_bytes: bool = False
    instants: bool = False
    reject_duplicates: bool = False

    @property
    def aliases(self) -> bool:
        """Whether keys that are not the same may still be equal."""
        return self.by_value or self.same_zero or self.nfc or self.text_bytes or self.instants


@frozen(eq=False)
class Entry:
    """
    One rule at one path.

    Attributes:
        option: The option it was given to.
        segments: Its path, parsed.
        use: Its index in the table of rule uses.
        value: What the option says for it.
    """

    option: str
    segments: tuple[Segment, ...]
    use: int
    value: Any = True


@frozen(eq=False)
class Use:
    """One line of `rules()`, without the count."""

    text: str
    reason: str = ""
    expires: date | None = None
