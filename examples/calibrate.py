"""
Calibrate: compare control with itself, and see which differences are no news.

Whatever differs between two calls of the same code is noise: clocks, random numbers, the order of a set. Do this before
you compare with the rewrite, for as long as it takes to see your traffic.

Run it with ``python examples/calibrate.py``. The handler has two noisy fields. The first experiment shows them, the
second shows that confirmation keeps them from becoming findings, and the third has a rule for each.
"""

import itertools
import random

from shadowmig import Migration, structural

ticks = itertools.count()
dice = random.Random(1)  # noqa: S311 - it makes noise, and no secrets


# docs begin handler
def get_comment(comment_id: int) -> dict:
    """Read a comment; two of its fields are noisy."""
    return {
        "id": comment_id,
        "body": "First!",
        "rendered_at": next(ticks),  # stands for a clock: never the same twice
        "trace": dice.getrandbits(64),
    }
    # docs end


migration = Migration("calibrate")

# docs begin calibrate
see = migration.read(get_comment, candidate=get_comment, name="see", confirm=False)
confirmed = migration.read(get_comment, candidate=get_comment, name="confirmed")
ruled = migration.read(
    get_comment, candidate=get_comment, name="ruled", compare=structural(ignore=["$.rendered_at", "$.trace"])
)
# docs end


def main() -> None:
    """Make calls, then print what each experiment says."""
    for comment_id in range(20):
        see(comment_id)
        confirmed(comment_id)
        ruled(comment_id)
    migration.flush()

    for name, summary in migration.stats().experiments.items():
        verdicts = ", ".join(f"{verdict.value} {count}" for verdict, count in summary.verdicts.items() if count)
        print(f"{name}: {verdicts}; noise {sorted(summary.noise)}")
    for finding in migration.findings():
        print(f"found {finding.experiment} {finding.path}, {finding.count} calls")
    migration.close()


if __name__ == "__main__":
    main()
