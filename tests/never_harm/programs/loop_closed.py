"""Event loops that end with checks pending: run by asyncio.run, closed by hand, with uvloop where asked for."""

import asyncio
import gc
import logging
import sys
import threading
import time

from _common import books, compare, migration, read, say, until

logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
owner = migration()
judging = threading.Event()
judge = threading.Event()


def compare_late(*, control, candidate):
    if control != candidate:
        judging.set()
        judge.wait(20)
    return compare(control=control, candidate=candidate)


async def handler(x):
    return x


async def candidate(x):
    if x == "hangs":
        await asyncio.Event().wait()
    return "other"


get = read(owner, handler, candidate, compare=compare_late, deadline=60)
new_loop = asyncio.new_event_loop
if sys.argv[1] == "uvloop":
    import uvloop

    new_loop = uvloop.new_event_loop
values = []
started = time.monotonic()
with asyncio.Runner(loop_factory=new_loop) as runner:
    values += [runner.run(get("hangs")) for _ in range(3)]
loop = new_loop()
values += [loop.run_until_complete(get("hangs")) for _ in range(3)]
loop.close()
# Judged while the loop stands still, run again when it is closed.
loop = new_loop()
values.append(loop.run_until_complete(get("differs")))
loop.run_until_complete(asyncio.sleep(0.05))
until(judging.is_set)
judge.set()
time.sleep(0.1)
loop.close()
took = time.monotonic() - started
pending = until(lambda: not owner.stats().pending)
gc.collect()
say(values=values, quick=took < 30, drained=pending, books=books(owner), closed=owner.close(10))
