"""A pre-fork server: the parent samples and holds work, then three children sample on their own."""

import json
import os
import sys
import threading

from _common import books, compare, errors, migration, read, say, until

held = threading.Event()
batches = []
owner = migration(sinks=[batches.append])
parent = os.getpid()


def candidate(x):
    if os.getpid() == parent:
        held.wait(60)
    return [x, "other"] if x % 2 else [x]


get = read(owner, lambda x: [x], candidate, compare=compare, deadline=60, confirm=False)
for number in range(20):
    get(number)
until(lambda: any(thread.name == "shadowmig-worker" for thread in threading.enumerate()))
pipes = []
for _ in range(3):
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        fresh = owner.stats()
        before = {"pending": fresh.pending, "books": books(owner), "threads": threading.active_count()}
        values = [get(number) for number in range(10)] == [[number] for number in range(10)]
        flushed = owner.flush(20)
        sources = sorted({batch.source for batch in batches})
        counts = {finding.fingerprint: finding.count for finding in owner.findings()}
        facts = {"before": before, "values": values, "flushed": flushed, "books": books(owner)}
        facts |= {"sources": sources, "counts": sorted(counts.values()), "errors": errors(owner)}
        os.write(writer, json.dumps(facts).encode())
        os._exit(0)
    os.close(writer)
    pipes.append((pid, reader))
children = []
for pid, reader in pipes:
    with os.fdopen(reader) as stream:
        children.append(json.loads(stream.read() or "null"))
    os.waitpid(pid, 0)
waiting = owner.stats().pending
held.set()
flushed = owner.flush(20)
say(waiting=waiting, flushed=flushed, books=books(owner), children=children, sources=len({b.source for b in batches}))
sys.exit(0)
