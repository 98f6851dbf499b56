"""Ends while the queue is full, some candidates hang, and perhaps the sink misbehaves when it is closed."""

import sys
import time

from _common import migration, read

code, how = int(sys.argv[1]), sys.argv[2]


class Sink:
    def __call__(self, batch):
        if how == "sink hangs":
            time.sleep(3600)

    def close(self):
        if how == "close exits":
            raise SystemExit(99)
        if how == "close hangs":
            time.sleep(3600)


def candidate(x):
    time.sleep(3600 if how == "candidate hangs" else 0.001)
    return x


owner = migration(sinks=[Sink()], exit_timeout=0.5)
get = read(owner, lambda x: x, candidate, deadline=60)
for number in range(2_000):
    assert get(number) == number
if how == "unhandled":
    raise LookupError("the service's own")
sys.exit(code)
