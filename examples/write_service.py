"""
The end of the write tutorial: a service that writes rows, cache entries and events, and its rewrite beside it.

Run it with ``python examples/write_service.py``. It needs no server: its stores are in memory. It makes and edits a few
comments, prints what each caller got, and then what the comparison found.
"""

# docs begin stores
from itertools import count

from shadowmig import Migration, SisterStore
from shadowmig.stores import MemoryStore, Stream, Table

TABLES = [Table("comments", key="id", version="version")]
STREAMS = [Stream("comment_events", id="event_id", version=lambda event: event["version"])]


def version(comment: dict) -> int:
    """Take the version out of what is in the cache."""
    return comment["version"]


db = SisterStore(name="db", production=MemoryStore(tables=TABLES), sister=MemoryStore(tables=TABLES))
cache = SisterStore(name="cache", production=MemoryStore(version=version), sister=MemoryStore(version=version))
events = SisterStore(name="events", production=MemoryStore(streams=STREAMS), sister=MemoryStore(streams=STREAMS))

migration = Migration("comments", sinks=[])
# docs end

# docs begin old
_ids = count(1)


def old_create(body: str) -> dict:
    """Store a new comment, put it into the cache, and tell the other teams."""
    comment = db.client().insert("comments", {"body": body, "version": 1})
    cache.client().set(f"comment:{comment['id']}", comment, ttl=3600)
    event_id = f"event-{next(_ids)}"
    events.client().append("comment_events", {"event_id": event_id, "version": 1, "after": comment})
    return {**comment, "event_id": event_id}


def old_edit(comment_id: int, body: str) -> dict:
    """Change a comment's text."""
    with db.client().transaction() as change:
        before = change.get_row("comments", comment_id)
        if before is None:
            raise KeyError(comment_id)
        comment = change.update("comments", comment_id, body=body, version=before["version"] + 1)
    cache.client().set(f"comment:{comment_id}", comment, ttl=3600)
    event_id = f"event-{next(_ids)}"
    version = comment["version"]
    events.client().append("comment_events", {"event_id": event_id, "version": version, "after": comment})
    return {**comment, "event_id": event_id}
    # docs end


# docs begin new
def new_create(body: str, *, comment_id: int | None = None, event_id: str = "") -> dict:
    """Do the same in the rewrite. What production made up, it can be told."""
    row = {"body": body, "version": 1}
    comment = db.client().insert("comments", row if comment_id is None else {"id": comment_id, **row})
    cache.client().set(f"comment:{comment['id']}", comment, ttl=3600)
    event_id = event_id or f"event-{next(_ids)}"
    events.client().append("comment_events", {"event_id": event_id, "version": 1, "after": comment})
    return {**comment, "event_id": event_id}


def new_edit(comment_id: int, body: str, *, event_id: str = "") -> dict:
    """Do the same in the rewrite. It has two bugs."""
    before = db.client().get_row("comments", comment_id)
    if before is None:
        raise KeyError(comment_id)
    comment = db.client().update("comments", comment_id, body=body.strip(), version=before["version"] + 1)
    event_id = event_id or f"event-{next(_ids)}"
    version = comment["version"]
    events.client().append("comment_events", {"event_id": event_id, "version": version, "after": comment})
    return {**comment, "event_id": event_id}
    # docs end


# docs begin touches
def touched(comment_id: int, event_id: str) -> list:
    """Name what a write of one comment changes: a row, a key, and an event that tells the comment's new state."""
    row, key = db.row("comments", comment_id), cache.key(f"comment:{comment_id}")
    told = {row: lambda event: event["after"], key: lambda event: event["after"]}
    event = events.entry("comment_events", event_id, stands_for=told)
    return [row, key, event]
    # docs end


# docs begin create
create = migration.write(
    old_create,
    candidate=new_create,
    name="create",
    key=lambda call: call.result["id"],
    carry=lambda call: {"comment_id": call.result["id"], "event_id": call.result["event_id"]},
    touches=lambda call: touched(call.result["id"], call.result["event_id"]),
)
# docs end

# docs begin edit
edit = migration.write(
    old_edit,
    candidate=new_edit,
    name="edit",
    key=lambda call: call["comment_id"],
    hydrate=lambda call: [db.row("comments", call["comment_id"]), cache.key(f"comment:{call['comment_id']}")],
    carry=lambda call: {"event_id": call.result["event_id"]},
    touches=lambda call: touched(call["comment_id"], call.result["event_id"]),
)
# docs end


def main() -> None:
    """Answer some users, and show what was found."""
    first = create("First!")
    print(first)
    print(edit(first["id"], "First! (edited)"))
    migration.flush()  # so that this call is judged first, and becomes the example
    print(edit(first["id"], "  indented"))
    try:
        edit(99, "too late")
    except KeyError:
        print("not found")
    migration.flush()
    for finding in sorted(migration.findings(), key=lambda finding: (finding.store, finding.path)):
        example = finding.examples[0]
        place = f"{finding.store} {finding.record}" if finding.store else "answer"
        print(place, finding.path, finding.kind, "|", example.control, "|", example.candidate)
    for name, summary in migration.stats().experiments.items():
        print(name, {verdict.value: calls for verdict, calls in summary.verdicts.items() if calls})


if __name__ == "__main__":
    main()
    migration.close()
