"""
A migration to look at: a comments service, a rewrite of it with planted defects, and what is found.

``shadowmig demo`` runs it. It proves itself: every planted defect must be found, and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shadowmig.demo.defects import Defect

INTERRUPTED = 130
"""The exit code when the user ended it, as shells have it."""


def run(
    *,
    input: Path | None = None,  # noqa: A002 - named as the command's option
    calls: int | None = None,
    seed: int = 0,
    out: Path | None = None,
    defects: Iterable[Defect] | None = None,
) -> int:
    """
    Run the demo and print its report.

    Args:
        input: Comments as JSON lines; a made-up set if not given.
        calls: Number of calls; by default enough to read everything a few times.
        seed: Of comments, readers and editors. Threads make runs with one seed alike, not equal.
        out: A findings file to write, for ``shadowmig report``.
        defects: What is wrong with the rewrite; by default every planted defect.

    Returns:
        The exit code: 0 if every planted defect that a call could show was found and nothing else was reported, 1 if
        not, 2 if a file cannot be used, 130 if the user ended it.
    """
    from shadowmig.demo.comments import made_up
    from shadowmig.demo.defects import CATALOGUE
    from shadowmig.demo.play import play
    from shadowmig.demo.reading import read_comments
    from shadowmig.demo.show import Screen
    from shadowmig.errors import ConfigError, RecordError
    from shadowmig.sinks._printable import printable

    planted = tuple(CATALOGUE if defects is None else defects)
    screen = Screen()
    try:
        comments = made_up(seed) if input is None else read_comments(input)
        screen.open(comments, planted, input)
        with screen.progress() as progress:
            outcome = play(comments, defects=planted, seed=seed, calls=calls, out=out, progress=progress)
        screen.close(outcome, out)
    except (ConfigError, RecordError) as error:
        sys.stderr.write(f"shadowmig: {printable(str(error), 2000)}\n")
        return 2
    except KeyboardInterrupt:  # once more, while the first one was obeyed
        return INTERRUPTED
    if outcome.interrupted:
        return INTERRUPTED
    return 0 if outcome.as_it_must_be else 1
