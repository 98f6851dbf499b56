"""What a check leaves behind, what it does not prove, and what goes on when it is over."""

import asyncio
import copy
import gc
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextvars import ContextVar

import pytest

from shadowmig import SisterStore, structural
from shadowmig.errors import ConfigError, EffectRefused
from shadowmig.stores import MemoryStore
from shadowmig.wire.consumers import Consumer, Effects, _compare, _worker
from shadowmig.wire.effects._check import Check
from shadowmig.wire.fence import Fence

EFFECTS = Effects()
REQUEST = ContextVar("request")


@EFFECTS.wrap(name="mail")
def mail(to, at=None):
    """Send for real."""
    raise AssertionError("sent")


def consumer(handle, **options):
    return Consumer(**{"decode": bytes.decode, "handle": handle, "effects": EFFECTS} | options)


def rules(found):
    return [(each.path, each.rule) for each in found.ignored]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as made:
        yield made


@pytest.fixture
def go():
    event = threading.Event()
    yield event
    event.set()


# In time, and too late.


def test_work_left_when_the_deadline_is_short(pool, go):
    """What a handler leaves in a pool is waited for beyond the deadline, for the handler itself was in time."""
    outcome = consumer(lambda event: pool.submit(go.wait, 30) and None, deadline=0.1).run(b"")
    go.set()
    assert (outcome.status, outcome.unfinished) == ("handled", 1)


def test_answer_at_the_deadline(monkeypatch):
    """An answer that comes while the caller gives up waiting is the outcome."""

    class Slow(Future):
        def result(self, timeout=None):
            super().result()
            if timeout is not None and not hasattr(self, "late"):
                self.late = True
                raise Late
            return super().result()

    monkeypatch.setattr(_worker, "Future", Slow)
    assert consumer(str.upper).run(b"a").value == "A"


def test_late_work_is_not_performed(go):
    """What a handler that hung tries in the end is refused, where it would be performed while the check runs."""
    store = SisterStore(production=MemoryStore(), sister=MemoryStore(), name="cache")
    store.prove()
    effects = Effects()
    client = effects.client(store, perform=True)
    tried = []

    def hang(event):
        client.set("first", 1)
        assert go.wait(30)
        for late in (lambda: client.set("late", 1), lambda: client.get("first")):
            with pytest.raises(EffectRefused, match="The check is over"):
                late()
            tried.append(late)

    one = consumer(hang, effects=effects, deadline=0.1)
    outcome = one.run(b"")
    assert (outcome.status, len(outcome.effects)) == ("hung", 1)
    [thread] = [each for each in threading.enumerate() if each.name == "shadowmig-consumer" and each in one._crew._hung]
    go.set()
    thread.join(30)
    assert len(tried) == 2
    assert (store.sister.client().get("first"), store.sister.client().get("late")) == (1, None)


def test_every_end_is_tried():
    """Where one thing cannot be ended the others are, and the outcome is as it was."""
    check, ended = Check(Fence()), []
    check.at_end(lambda: ended.append("first"))
    check.at_end(lambda: 1 / 0)
    check.end()
    assert ended == ["first"]


# What is left behind.


def test_coroutine_of_a_plain_function():
    """What a plain function gives to be awaited runs in a thread of its own, though the consumer has no deadline."""

    async def handle(event):
        await asyncio.sleep(0)
        mail(event)
        return threading.current_thread() is threading.main_thread()

    one = consumer(lambda event: handle(event), deadline=None)  # noqa: PLW0108 - it is to be a plain function
    outcome = one.run(b"ada")
    assert (outcome.value, list(map(str, outcome.effects))) == (False, ["mail('ada')"])
    assert not hasattr(_worker._local, "runner")

    async def on_a_loop():
        return one.run(b"ada").status

    assert asyncio.run(on_a_loop()) == "handled"


def test_context_of_the_first_check_is_let_go():
    """The event loop of an async consumer keeps nothing of the context in which it was made."""

    class Request:
        pass

    async def handle(event):
        await asyncio.sleep(0)

    request = Request()
    seen, token = weakref.ref(request), REQUEST.set(request)
    one = consumer(handle)
    assert one.run(b"").status == "handled"
    REQUEST.reset(token)
    del request, token
    gc.collect()
    assert seen() is None
    one.close()


def test_pool_made_by_the_handler(pool):
    """The initializer of a pool that is made inside is fenced too; that of a pool of the service is not."""
    ready = []

    def handle(event):
        with ThreadPoolExecutor(2, initializer=mail, initargs=("ready",)) as made:
            return made.submit(str.upper, event).result()

    outcome = consumer(handle).run(b"a")
    assert (outcome.value, outcome.effects[0].args) == ("A", ("ready",))
    with ThreadPoolExecutor(1, initializer=ready.append, initargs=(1,)) as made:
        assert made.submit(len, "abc").result() == 3
    assert ready == [1]


# What proves nothing.


def test_refusal_of_a_stand_in_proves_nothing():
    """A pair to which a stand-in refused the same is alike without proof, as with what the fence refuses."""
    box = EFFECTS.wrap(threading.Lock(), name="box")
    one = consumer(lambda event: copy.copy(box))
    found = one.compare(production=b"a", sister=b"b")
    assert (len(found), rules(found)) == (0, [("@refused", "fence")])
    with pytest.raises(AssertionError, match=r"@refused: both were refused 'box\.copy'"):
        one.check(b"a", like=b"b")


def test_effects_of_two_that_hang(go):
    """How far two events came that both hang is a matter of time, and no difference."""

    def hang(event):
        for number in range(len(event)):
            mail(number)
        assert go.wait(30)

    found = consumer(hang, deadline=0.1).compare(production=b"abc", sister=b"a")
    assert (len(found), rules(found)) == (0, [("@hung", "deadline")])


@pytest.mark.parametrize(("before", "path"), [(True, "@effects.mail[1]"), (False, "@skipped")])
def test_effects_that_are_still_to_come(pool, go, before, path):
    """Where work goes on after the handler, an effect that is missing proves nothing."""

    def later(slow):
        if slow:
            assert go.wait(30)
        mail("later")

    def handle(event):
        if before:
            mail("now")
        pool.submit(later, event == "slow")

    found = consumer(handle).compare(production=b"quick", sister=b"slow")
    go.set()
    assert (len(found), rules(found)) == (0, [("@unfinished", "unfinished"), (path, "unfinished")])


def test_refusals_that_are_still_to_come(pool, go):
    """Where work goes on after the handler, a refusal that is missing proves nothing either."""

    def later(slow):
        if slow:
            assert go.wait(30)
        threading.Thread(target=len).start()

    found = consumer(lambda event: pool.submit(later, event == "slow") and None).compare(
        production=b"quick", sister=b"slow"
    )
    go.set()
    assert (len(found), rules(found)) == (0, [("@unfinished", "unfinished"), ("@refused", "unfinished")])


def test_effect_that_was_cut():
    """An effect with more arguments than are looked at is not compared in full, and it is told."""
    found = consumer(lambda event: mail(list(range(200_000)))).compare(production=b"", sister=b"")
    assert (len(found), rules(found)) == (0, [("@more", "too many")])


# The order of many.


def backwards(event):
    numbers = list(range(3000))
    for number in numbers if event == "a" else reversed(numbers):
        mail(number)


def test_many_effects_in_another_order():
    """Thousands of effects in another order are soon compared, and the one that is other is found."""

    def one_off(event):
        backwards(event)
        mail(event)

    assert list(consumer(backwards, ordered=False).compare(production=b"a", sister=b"b")) == []
    [found] = consumer(one_off, ordered=False).compare(production=b"a", sister=b"b")
    assert (found.path, found.control, found.candidate) == ("@effects.mail[3000].args[0]", "a", "b")


def test_order_that_takes_too_long_to_find(monkeypatch):
    """Where the order of effects that a rule makes equal takes too long to find, differences prove nothing."""

    def handle(event):
        for number in range(9) if event == "a" else range(8, -1, -1):
            mail(number, at=event)

    one = consumer(handle, ordered=False, compare=structural(ignore=["$..at"]))
    assert list(one.compare(production=b"a", sister=b"b")) == []
    monkeypatch.setattr(_compare, "COMPARISONS", 10)
    found = one.compare(production=b"a", sister=b"b")
    assert len(found) == 0
    assert ("@effects.mail", "too many") in rules(found)


def test_handler_that_yields():
    """A handler of which nothing would run is refused when the consumer is built."""

    def gives(event):
        yield mail(event)

    async def agives(event):
        yield mail(event)

    for handle in (gives, agives):
        with pytest.raises(ConfigError, match="yields") as caught:
            consumer(handle)
        assert caught.value.field == "handle"
