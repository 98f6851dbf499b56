"""
The end of the tutorial on round trips: three incompatibilities between an old service and its rewrite, found and fixed.

Run it: python examples/wire_roundtrip.py
"""

import json
from datetime import datetime

from attrs import frozen

from shadowmig import RoundTrip
from shadowmig.wire.strategies import values_of


# docs begin model
@frozen
class Comment:
    """What both services keep."""

    id: int
    body: str
    tags: list[str]
    edited: datetime | None = None


# docs end


# docs begin old
def old_write(comment):
    """Write JSON as the old service does."""
    document = {"id": comment.id, "body": comment.body, "tags": comment.tags}
    document["edited"] = comment.edited.isoformat() if comment.edited else None
    return json.dumps(document).encode()


def old_read(data):
    """Read what it wrote."""
    document = json.loads(data)
    edited = document["edited"]
    return Comment(
        id=document["id"],
        body=document["body"],
        tags=document["tags"],
        edited=datetime.fromisoformat(edited) if edited else None,
    )


# docs end


# docs begin new
def number(value):
    """All numbers of JSON are floats, are they not?"""
    return float(value)


def tags_of(comment):
    """Nothing is nothing."""
    return comment.tags or None


def time_of(moment):
    """Seconds are enough for anybody."""
    return moment.isoformat(timespec="seconds")


def new_write(comment):
    """Write JSON as the rewrite does."""
    document = {"id": number(comment.id), "body": comment.body, "tags": tags_of(comment)}
    document["edited"] = time_of(comment.edited) if comment.edited else None
    return json.dumps(document).encode()


# docs end


# docs begin check
def check():
    """Give what both wrote to the old reader."""
    trip = RoundTrip(writers={"old": old_write, "new": new_write}, readers={"old": old_read})
    return trip.check(values_of(Comment, bits=64, zones=False), count=500)


# docs end


def main():
    """Check, fix what is found, and check again."""
    global number, tags_of, time_of
    print(check())
    number, time_of = int, datetime.isoformat

    def tags_of(comment):
        return comment.tags

    print(check())


if __name__ == "__main__":
    main()
