"""
A gevent service: monkey-patched, with a pool of greenlets, as many older Python services are.

Nothing is different for you: gevent patches the standard library before anything else is imported, as in every gevent
service. The workers of shadowmig are then greenlets like yours.

Run it with ``python examples/gevent_service.py``. A few greenlets stand for the users; the new implementation is slow
and has a bug, the users notice neither, and the bug is found.
"""

# docs begin first
from gevent import monkey

monkey.patch_all()

import time  # noqa: E402 - after the patching, like every other import
from contextvars import ContextVar  # noqa: E402 - after the patching

import gevent  # noqa: E402 - after the patching

from shadowmig import Migration  # noqa: E402 - after the patching

# docs end

migration = Migration("comments")
user: ContextVar[str] = ContextVar("user")


# docs begin sides
def new_get_comment(comment_id: int) -> dict:
    """Ask the new service, which takes its time. Its bug: the score is a text."""
    time.sleep(0.3)
    return {"id": comment_id, "score": str(comment_id * 10), "seen_by": user.get()}


@migration.read(candidate=new_get_comment)
def get_comment(comment_id: int) -> dict:
    """Read a comment; the user of this request is in a context variable, which the candidate sees too."""
    return {"id": comment_id, "score": comment_id * 10, "seen_by": user.get()}
    # docs end


def request(name: str) -> tuple[dict, float]:
    """Do what a greenlet does for one user; returns the answer and the seconds it took."""
    user.set(name)
    started = time.monotonic()
    answer = get_comment(1)
    return answer, time.monotonic() - started


def main() -> None:
    """Serve some users at once, then print what was found."""
    greenlets = [gevent.spawn(request, name) for name in ("ada", "bob", "eve")]
    gevent.joinall(greenlets)
    for answer, seconds in (greenlet.get() for greenlet in greenlets):
        print(f"{answer}, {'at once' if seconds < 0.2 else f'after {seconds:.2f} s'}")
    migration.flush()
    for finding in migration.findings():
        example = finding.examples[0]
        print(f"found {finding.experiment} {finding.path}: {example.control} became {example.candidate}")
    migration.close()


if __name__ == "__main__":
    main()
