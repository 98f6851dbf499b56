"""
A worker process that ends without exit functions, as children of ``multiprocessing`` and of Celery's pool do.

The child closes the migration itself; otherwise what it found in its last second would be lost. Parent and child write
to the same file, and the report adds them up.

Run it with ``python examples/forked_worker.py``. The findings are in ``findings.jsonl``, in the folder you start it
from.
"""

import multiprocessing

from shadowmig import Migration
from shadowmig.findings import merge
from shadowmig.sinks import JsonLines
from shadowmig.sinks.jsonl import read

# docs begin worker
migration = Migration("comments", sinks=[JsonLines("findings.jsonl")])


def new_get_score(comment_id: int) -> int:
    """Ask the new service. Its bug: one too many."""
    return comment_id * 10 + 1


@migration.read(candidate=new_get_score)
def get_score(comment_id: int) -> int:
    """Give the score of a comment."""
    return comment_id * 10


def work() -> None:
    """Do what a worker does."""
    print(f"the child got {get_score(1)}", flush=True)
    migration.close()  # this process ends by os._exit, which runs no exit functions
    # docs end


def main() -> None:
    """Have a child answer one call and this process another, then add up what both found."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    print(f"the parent got {get_score(2)}")
    migration.close()
    findings, _ = merge(read("findings.jsonl").batches)
    for finding in findings:
        print(f"found {finding.experiment} {finding.path} in {finding.count} calls")


if __name__ == "__main__":
    main()
