"""Under gevent: greenlets serve while others shadow, and kills and timeouts reach the greenlet they are meant for."""

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402 - nothing may be imported before the patch
from _common import (  # noqa: E402 - nothing may be imported before the patch
    ServerTimeout,
    books,
    errors,
    migration,
    read,
    say,
)

from shadowmig.engine import Breaker  # noqa: E402 - nothing may be imported before the patch

owner = migration(budget=0.05)
busy = {"sample": False}


def sample(call):
    if busy["sample"]:
        gevent.sleep(30)
    return True


# The sampler is to be slow, so slowness must not stop the experiment.
get = read(owner, lambda x: [x], lambda x: [x], sample=sample, breaker=Breaker(errors=2, overhead=3600))
served = [job.get() for job in [gevent.spawn(get, number) for number in range(50)]]
flushed = owner.flush(20)
first = books(owner)

# What other greenlets burn is not the desk's: it must not sleep it off.
get(1)
until = gevent.get_hub().loop.now() + 0.5
while gevent.get_hub().loop.now() < until:
    sum(range(20_000))
    gevent.sleep(0)
quick = owner.flush(5)

busy["sample"] = True
caught = {}


def call(name, timeout):
    try:
        with timeout:
            get(2)
            caught[name] = "swallowed"
    except BaseException as error:
        caught[name] = type(error).__name__


gevent.spawn(call, "timeout", gevent.Timeout(0.05)).join(10)
gevent.spawn(call, "server", gevent.Timeout(0.05, ServerTimeout("told to"))).join(10)


class Mine(Exception):
    pass


gevent.spawn(call, "exception", gevent.Timeout(0.05, Mine("told to"))).join(10)
victim = gevent.spawn(call, "kill", gevent.Timeout(None))
gevent.sleep(0.05)
victim.kill(timeout=10)
busy["sample"] = False
say(
    served=served == [[number] for number in range(50)],
    flushed=flushed,
    first=first,
    quick=quick,
    caught=caught,
    errors=errors(owner),
    closed=owner.close(20),
)
