"""
A comparator of your own: rankings in which neighbours with the same score may change places.

A comparator is any callable that takes ``control=`` and ``candidate=`` and returns differences; none means equal. This
one is a class, because it also tells how often its rule took effect.

Run it with ``python examples/own_comparator.py``. Of three rankings one matches, one has a tie in another order (which
is ignored, and never counted as a match), and one is wrong.
"""

# docs begin comparator
from typing import Any

from shadowmig import Difference, Migration
from shadowmig.model import MISSING, Differences, RuleUse

TIES = "ties may change places"


class Ranking:
    """Compare two rankings, lists of ``{"id": ..., "score": ...}`` with the highest score first."""

    def __init__(self) -> None:
        self._ties = 0

    def __call__(self, *, control: list[dict[str, Any]], candidate: list[dict[str, Any]]) -> Differences:
        """Find the places that differ."""
        found, ignored = [], []
        for place in range(max(len(control), len(candidate))):
            ours = control[place] if place < len(control) else MISSING
            theirs = candidate[place] if place < len(candidate) else MISSING
            if ours is MISSING:
                found.append(Difference(f"$[{place}]", "unexpected", ours, theirs))
            elif theirs is MISSING:
                found.append(Difference(f"$[{place}]", "missing", ours, theirs))
            elif ours["score"] != theirs["score"]:
                found.append(Difference(f"$[{place}].score", "changed", ours["score"], theirs["score"]))
            elif ours["id"] != theirs["id"]:
                ignored.append(Difference(f"$[{place}].id", "order", ours["id"], theirs["id"], rule=TIES))
        self._ties += len(ignored)
        return Differences(found, ignored=ignored)

    def rules(self) -> tuple[RuleUse, ...]:
        """Tell how often the rule took effect; reports show it. You may leave this method out."""
        return (RuleUse(TIES, self._ties, reason="the old service sorts by score alone"),)
        # docs end


def new_top_comments(subject: str) -> list[dict[str, Any]]:
    """Ask the new service. Its bug: of news it gives a wrong score."""
    answers = {
        "art": [{"id": 1, "score": 9}, {"id": 2, "score": 5}],
        "games": [{"id": 4, "score": 7}, {"id": 3, "score": 7}],
        "news": [{"id": 5, "score": 8}, {"id": 6, "score": 1}],
    }
    return answers[subject]


# docs begin use
migration = Migration("comments")


@migration.read(candidate=new_top_comments, compare=Ranking())
def top_comments(subject: str) -> list[dict[str, Any]]:
    """Give the comments of a subject, the best first."""
    answers = {
        "art": [{"id": 1, "score": 9}, {"id": 2, "score": 5}],
        "games": [{"id": 3, "score": 7}, {"id": 4, "score": 7}],
        "news": [{"id": 5, "score": 8}, {"id": 6, "score": 2}],
    }
    return answers[subject]
    # docs end


def main() -> None:
    """Compare three rankings, then print the verdicts and what was found."""
    for subject in ("art", "games", "news"):
        top_comments(subject)
    migration.flush()
    summary = migration.stats().experiments["top_comments"]
    print(", ".join(f"{verdict.value} {count}" for verdict, count in summary.verdicts.items() if count))
    for finding in migration.findings():
        example = finding.examples[0]
        print(f"found {finding.experiment} {example.path}: {example.control} became {example.candidate}")
    print(f"rule {summary.rules[0].rule!r} took effect {summary.rules[0].used} times")
    migration.close()


if __name__ == "__main__":
    main()
