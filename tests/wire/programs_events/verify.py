"""
One verifier process: matches the two streams until it is killed or its standard input ends.

    python verify.py PRODUCTION SISTER JSON-OPTIONS
"""

import json
import sys
import threading

from shadowmig import structural
from shadowmig.stores import Stream
from shadowmig.wire.codecs import Json
from shadowmig.wire.events import EventStream, EventTuning, RedisEvents

STREAM = Stream("comment_events", id="event_id", payload="body", codec=Json(), version=lambda e: e["version"])


def stream(production, sister, options):
    """Make the stream as all processes of a run have it."""
    sources = [RedisEvents(url, STREAM, entity=lambda e: e["comment_id"]) for url in (production, sister)]
    return EventStream(
        options.get("name", "run"),
        production=sources[0],
        sister=sources[1],
        compare=structural(ignore=["$.emitted_at"]),
        begin="start",
        grace=options["grace"],
        late=options["late"],
        tuning=EventTuning(lease=options.get("lease", 1.0), remember=options.get("remember", 30.0)),
    )


if __name__ == "__main__":
    running = stream(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])).start()
    print("started", flush=True)
    sys.stdin.read()
    running.stop()
    running.close()
    assert threading.active_count() == 1
