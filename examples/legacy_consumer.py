"""
The real legacy consumer reads the candidate's events, and does nothing to the world while it is checked.

Run it with ``python examples/legacy_consumer.py``. A search team consumes the events of comments: its function is
used as it is. Four pairs of events go through it, production's and the candidate's, and it is printed what it would
do otherwise. Nothing is sent, and the search index of production stays as it is.
"""

# docs begin legacy
import json
import smtplib


class SearchIndex:
    """What the search team writes to."""

    def __init__(self):
        self.documents = {}

    def put(self, key, document):
        """Index a document."""
        self.documents[key] = document

    def version(self, key):
        """Tell which version of a document is indexed."""
        return self.documents.get(key, {}).get("version", 0)


def notify(address, subject):
    """Tell a moderator by mail."""
    with smtplib.SMTP("mail.example.com") as server:
        server.sendmail("search@example.com", [address], f"Subject: {subject}\n\n")


class Consumer:
    """The legacy consumer: it is given what it works with."""

    def __init__(self, index, notify):
        self.index = index
        self.notify = notify

    def decode(self, data):
        """Make an event of bytes."""
        event = json.loads(data)
        return None if event["type"] == "vote" else event

    def handle(self, event):
        """Index a comment, and tell a moderator of links."""
        if event["version"] <= self.index.version(event["id"]):
            return "old"
        if "http" in event["body"]:
            self.notify("moderator@example.com", f"comment {event['id']}")
        self.index.put(event["id"], {"body": event["body"].strip(), "version": event["version"]})
        return "indexed"
        # docs end


# docs begin wrap
from shadowmig.wire import consumers  # noqa: E402 - the legacy comes first, as it was there first

index = SearchIndex()
effects = consumers.Effects()
legacy = Consumer(
    index=effects.wrap(index, name="index", reads=["version"]),
    notify=effects.wrap(notify, name="notify"),
)
consumer = consumers.Consumer(
    decode=legacy.decode,
    handle=legacy.handle,
    effects=effects,
    name="search",
    skipped=lambda value: value == "old",
)
# docs end

PAIRS = [
    (
        {"type": "new", "id": 1, "version": 1, "body": " first "},
        {"type": "new", "id": 1, "version": 1, "body": "first"},
    ),
    (
        {"type": "new", "id": 2, "version": 1, "body": "a > b"},
        {"type": "new", "id": 2, "version": 1, "body": "a &gt; b"},
    ),
    ({"type": "edit", "id": 3, "version": 2, "body": "hi"}, {"type": "edit", "id": 3, "version": 0, "body": "hi"}),
    ({"type": "edit", "id": 4, "version": 2, "body": "hi"}, {"type": "edit", "id": 4, "version": "2", "body": "hi"}),
]


def main() -> None:
    """Use the consumer as ever, then replay the pairs."""
    legacy.handle(legacy.decode(b'{"type": "new", "id": 9, "version": 1, "body": "in production"}'))
    # docs begin replay
    pairs = [(json.dumps(old).encode(), json.dumps(new).encode()) for old, new in PAIRS]
    report = consumer.replay([*pairs, (pairs[0][0], b'{"type": "new", "id": 5')])
    print(report)
    # docs end
    print(f"in the index of production: {sorted(index.documents)}")
    consumer.close()


if __name__ == "__main__":
    main()
