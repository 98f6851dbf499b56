"""The real consumer, fed with both events of a pair: what it would do, and where that differs."""

import asyncio
import gc
import http.client
import json
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from shadowmig import SisterStore, structural
from shadowmig.errors import ConfigError, EffectRefused, ProductionRefused
from shadowmig.model import MISSING, Difference, Side
from shadowmig.side import CHECKED_SIDE, MIRRORED
from shadowmig.stores import MemoryStore
from shadowmig.wire import Json
from shadowmig.wire.consumers import Consumer, Effects, Refused, _worker
from shadowmig.wire.events import EventStream, MemoryEvents

SENT = []
EFFECTS = Effects()
REQUEST = ContextVar("request", default="none")


@EFFECTS.wrap(name="mail", returns="queued")
def mail(to, body=""):
    """Send for real."""
    SENT.append(to)


@EFFECTS.wrap(name="audit")
def audit(what):
    """Write for real."""
    SENT.append(what)


@pytest.fixture(autouse=True)
def nothing_sent():
    SENT.clear()
    yield
    assert SENT == []


def handle(event):
    """Do what the event says, as a legacy consumer would."""
    for to in event.get("to", []):
        mail(to, body=event.get("body", ""))
    for what in event.get("audit", []):
        audit(what)
    if "raise" in event:
        raise KeyError(event["raise"])
    return event.get("value")


def consumer(**options):
    return Consumer(**{"decode": json.loads, "handle": handle, "effects": EFFECTS} | options)


def event(**fields):
    return json.dumps(fields).encode()


def differing(one, production, sister):
    """Compare two events, and give path, kind and sides of what differs."""
    found = one.compare(production=production, sister=sister)
    return [(each.path, each.kind, each.control, each.candidate) for each in found]


# One event.


def test_handled():
    """An event that is handled has its effects recorded, in their order and with what handle returned."""
    outcome = consumer(name="mails").run(event(to=["ada", "bob"], body="hi", value=(1, 2)))
    assert outcome.status == "handled"
    assert list(map(str, outcome.effects)) == ["mail('ada', body='hi')", "mail('bob', body='hi')"]
    assert (outcome.value, outcome.error, outcome.refused) == ([1, 2], None, ())
    assert 0 < outcome.seconds < 60
    assert str(outcome) == "handled, 2 effects"


def test_undecodable():
    """What decode raises makes the event undecodable, with decode's own error."""
    outcome = consumer().run(b'{"to": ')
    assert outcome.status == "undecodable"
    assert outcome.error.type == "json.decoder.JSONDecodeError"
    assert "builtins.ValueError" in outcome.error.bases
    assert outcome.value is MISSING
    assert str(outcome).startswith("undecodable: json.decoder.JSONDecodeError: Expecting value")


def test_skipped():
    """An event is skipped if decode gives None, or if what handle returns is told to mean so."""
    assert consumer().run(b"null").status == "skipped"
    told = consumer(skipped=lambda value: value == "skip")
    assert told.run(event(value="skip")).status == "skipped"
    assert told.run(event(value="done")).status == "handled"


def test_raised():
    """What handle raises is the outcome, with the effects it had before."""
    outcome = consumer().run(event(to=["ada"], **{"raise": "x"}))
    assert (outcome.status, outcome.error.type, outcome.error.message) == ("raised", "builtins.KeyError", "'x'")
    assert len(outcome.effects) == 1


@pytest.mark.parametrize("deadline", [5.0, None])
def test_exit_of_the_handler_is_its_outcome(deadline):
    """A handler that ends its process ends nothing here."""
    outcome = consumer(handle=lambda event: sys.exit(3), deadline=deadline).run(event())
    assert (outcome.status, outcome.error.type) == ("raised", "builtins.SystemExit")


def interrupt(event):
    raise KeyboardInterrupt


def test_interrupt():
    """In a thread of its own an interrupt that the handler raises is its outcome; in the caller's thread it passes."""
    assert consumer(handle=interrupt).run(event()).error.type == "builtins.KeyboardInterrupt"
    with pytest.raises(KeyboardInterrupt):
        consumer(handle=interrupt, deadline=None).run(event())
    assert mail.__wrapped__ is not None
    assert MIRRORED.get() is False


def test_interrupted_caller(monkeypatch):
    """If the caller is interrupted while it waits, the interrupt passes and the next event is handled as usual."""
    one = consumer()

    def interrupted(self, function, seconds, returned):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(_worker.Worker, "do", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.run(event())
    assert one.run(event()).status == "handled"


class Rude(Exception):
    def __str__(self):
        raise RuntimeError


def test_error_without_text():
    """An exception whose text raises is kept by its class."""

    def fail(event):
        raise Rude

    outcome = consumer(handle=fail).run(event())
    assert outcome.error.message == "<RuntimeError in __str__>"
    assert outcome.error.type == "test_consumers.Rude"


def test_hung():
    """A handler that does not return is told as hung, is fenced for ever, and does not hold up the next event."""
    go, ended = threading.Event(), threading.Event()

    def hang(event):
        if "hang" in event:
            mail("before")
            assert go.wait(30)
            mail("after")
            ended.set()

    one = consumer(handle=hang, deadline=0.1)
    outcome = one.run(event(hang=1))
    assert (outcome.status, list(map(str, outcome.effects))) == ("hung", ["mail('before')"])
    assert outcome.error.message == "no answer in 0.1 s"
    assert one.run(event()).status == "handled"
    go.set()
    assert ended.wait(30)


def test_threads_that_hang_are_few():
    """While eight runs hang no thread is started, and when they have ended events are handled again."""
    go = threading.Event()
    one = consumer(handle=lambda event: go.wait(30), deadline=0.01)
    before = threading.active_count()
    outcomes = [one.run(event()) for _ in range(12)]
    assert {outcome.status for outcome in outcomes} == {"hung"}
    assert outcomes[-1].error.message == "not run, for 8 earlier runs still hang"
    hanging = [each for each in threading.enumerate() if each.name == "shadowmig-consumer"]
    assert threading.active_count() - before <= _worker.MOST_HUNG
    go.set()
    for thread in hanging:
        thread.join(30)
    slow = consumer(handle=lambda event: go.wait(30), deadline=30)
    assert slow.run(event()).status == "handled"
    assert one.run(event()).status in ("handled", "hung")


def test_what_escapes_in_a_worker():
    """What is raised in a worker's thread reaches the caller, a timeout of the code's own making as such."""

    def late():
        raise TimeoutError("mine")

    crew = _worker.Crew()
    with pytest.raises(TimeoutError, match="mine"):
        crew.do(late, 30)
    with pytest.raises(ZeroDivisionError):
        crew.do(lambda: 1 / 0, 30)
    crew.close()


def test_fields_instead_of_bytes():
    """An event of several fields is given to decode as a dict, a fresh one for each run."""
    fields = {b"type": b"new", b"to": b"ada"}

    def decode(given):
        return given.pop(b"to")

    one = consumer(decode=decode, handle=mail)
    assert differing(one, fields, {**fields, b"to": b"bob"}) == [
        ("@effects.mail[0].args[0]", "changed", b"ada", b"bob")
    ]
    assert len(fields) == 2


def test_context_of_the_caller():
    """The consumer sees the caller's context variables, and what it sets is not seen by the caller."""

    def set_it(event):
        REQUEST.set("changed")

    def tell(event):
        return REQUEST.get()

    token = REQUEST.set("caller")
    for deadline in (5.0, None):
        assert consumer(handle=tell, deadline=deadline).run(event()).value == "caller"
        consumer(handle=set_it, deadline=deadline).run(event())
        assert REQUEST.get() == "caller"
    REQUEST.reset(token)
    assert (MIRRORED.get(), CHECKED_SIDE.get()) == (False, None)


def test_inside_the_context_of_the_checked_side():
    """Inside, code is told that it is the checked side, and writes to the sisters."""
    one = consumer(handle=lambda event: [CHECKED_SIDE.get() is Side.CANDIDATE, MIRRORED.get()])
    assert one.run(event()).value == [True, True]


def test_own_names_are_left_alone():
    """A check changes nothing in the consumer's module."""
    module = sys.modules[__name__]
    before = dict(vars(module))
    consumer().run(event(to=["ada"]))
    after = vars(module)
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)


def test_clients_of_sister_stores():
    """Inside, sister stores hand out the sister's client and refuse production; outside nothing has changed."""
    production, sister = MemoryStore(), MemoryStore()
    store = SisterStore(production=production, sister=sister, name="cache")
    store.prove()
    production.client().set("k", "production")
    sister.client().set("k", "sister")

    def look(event):
        with pytest.raises(ProductionRefused):
            production.client()
        return store.client().get("k")

    assert consumer(handle=look).run(event()).value == "sister"
    assert store.client().get("k") == "production"


def test_values_are_let_go():
    """Nothing of an event or a handler's answer is kept after the run."""

    class Big:
        pass

    seen = []

    def make(event):
        big = Big()
        seen.append(weakref.ref(big))
        return {"big": big}

    one = consumer(handle=make)
    one.run(event())
    one.run(event())
    gc.collect()
    assert seen[0]() is None


def test_many_threads():
    """Many threads may use one consumer at once, and each gets its own outcome."""
    one = consumer()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda number: one.run(event(to=[number])), range(200)))
    assert [outcome.effects[0].args for outcome in outcomes] == [(number,) for number in range(200)]


def test_threads_end_with_their_consumer():
    """The threads of a consumer end when it is closed, and when it is gone; after closing it works on."""
    one = consumer()
    one.run(event())
    mine = [each for each in threading.enumerate() if each.name == "shadowmig-consumer"]
    one.close()
    one.close()
    assert one.run(event()).status == "handled"
    mine += [each for each in threading.enumerate() if each.name == "shadowmig-consumer"]
    del one
    gc.collect()
    for thread in mine:
        thread.join(30)
        assert not thread.is_alive()


# What is refused.


def fetch(event):
    connection = http.client.HTTPConnection("127.0.0.1", event.get("port", 1), timeout=5)
    connection.request("GET", "/")


def careless(event):
    try:
        fetch(event)
    except Exception:
        mail("went on")


def test_refusals_are_in_the_outcome():
    """What the fence refused is in the outcome, whether the handler lets the error out or not."""
    raised = consumer(handle=fetch).run(event())
    assert (raised.status, raised.error.type) == ("raised", "shadowmig.errors.EffectRefused")
    swallowed = consumer(handle=careless).run(event())
    assert (swallowed.status, len(swallowed.effects)) == ("handled", 1)
    assert raised.refused == swallowed.refused == (Refused("http.client.connect", "127.0.0.1:1"),)


def test_refused_alike_proves_nothing():
    """A pair whose events are refused alike has no difference but an ignored one; other refusals are a difference."""
    one = consumer(handle=careless)
    found = one.compare(production=event(), sister=event())
    assert (len(found), [each.rule for each in found.ignored]) == (0, ["fence"])
    assert differing(one, event(), event(port=2)) == [
        ("@refused", "changed", ["http.client.connect 127.0.0.1:1"], ["http.client.connect 127.0.0.1:2"])
    ]


def test_threads_of_the_handler():
    """A handler may work in a pool of its own, where its effects are recorded; a bare thread is refused."""

    def pooled(event):
        with ThreadPoolExecutor(2) as pool:
            return sorted(pool.map(mail, event["to"]))

    def threaded(event):
        threading.Thread(target=mail, args=("ada",)).start()

    outcome = consumer(handle=pooled).run(event(to=["ada", "bob"]))
    assert (outcome.value, len(outcome.effects)) == (["queued", "queued"], 2)
    assert consumer(handle=threaded).run(event()).error.type == "shadowmig.errors.EffectRefused"


def test_work_left_in_a_pool():
    """Work that a handler leaves in a shared pool is waited for a little; what goes on longer is told, and fenced."""
    go = threading.Event()
    with ThreadPoolExecutor(2) as pool:

        def leave(event):
            if event.get("slow"):
                pool.submit(go.wait, 30)
            pool.submit(mail, "left")

        quick = consumer(handle=leave).run(event())
        assert (len(quick.effects), quick.unfinished) == (1, 0)
        one = consumer(handle=leave)
        found = one.compare(production=event(), sister=event(slow=1))
        assert [(each.path, each.rule, each.control, each.candidate) for each in found.ignored] == [
            ("@unfinished", "unfinished", 0, 1)
        ]
        assert len(found) == 0
        go.set()


# Async consumers.


async def adecode(data):
    await asyncio.sleep(0)
    return json.loads(data)


@EFFECTS.wrap(name="amail", returns="queued")
async def amail(to):
    """Send for real."""
    SENT.append(to)


async def ahandle(event):
    async def later():
        await asyncio.sleep(0)
        mail("later")

    left = asyncio.create_task(later())
    if event.get("wait"):
        await left
    if "raise" in event:
        raise KeyError(event["raise"])
    if event.get("hang"):
        await asyncio.sleep(30)
    await asyncio.to_thread(mail, "threaded")
    return await amail(event.get("to"))


@pytest.mark.parametrize("deadline", [10.0, None])
def test_async_consumer(deadline):
    """Coroutine functions are awaited, and tasks and threads they leave behind are part of the check."""
    outcome = consumer(decode=adecode, handle=ahandle, deadline=deadline).run(event(to="ada"))
    assert (outcome.status, outcome.value, outcome.unfinished) == ("handled", "queued", 0)
    assert sorted(map(str, outcome.effects)) == ["amail('ada')", "mail('later')", "mail('threaded')"]


def test_async_consumer_that_fails():
    """An async handler's error is its outcome, `SystemExit` and a cancellation of its own making too."""
    one = consumer(handle=ahandle)
    assert one.run(event(**{"raise": 1})).error.type == "builtins.KeyError"

    async def cancelled(event):
        raise asyncio.CancelledError

    async def leaves(event):
        sys.exit(1)

    async def late(event):
        raise TimeoutError("mine")

    for function, error in ((cancelled, "CancelledError"), (leaves, "SystemExit"), (late, "TimeoutError")):
        outcome = consumer(handle=function).run(event())
        assert (outcome.status, outcome.error.type.rpartition(".")[2]) == ("raised", error)
    assert one.run(event(wait=1)).status == "handled"


def test_async_consumer_that_hangs():
    """An async handler past its deadline is cancelled, and its thread is used again."""
    one = consumer(handle=ahandle, deadline=0.2)
    assert str(one.run(event(hang=1))).endswith("cancelled at the deadline")
    assert one.run(event(wait=1)).status == "handled"


def test_task_that_goes_on():
    """A task that outlives the handler is told of once, and what it tries later is neither performed nor recorded."""
    go = []

    async def leave(event):
        async def endless():
            while not go:  # noqa: ASYNC110 - it is to be seen from another thread
                await asyncio.sleep(0.01)
            mail("much later")

        if event.get("start"):
            event["kept"] = asyncio.create_task(endless())

    one = consumer(handle=leave)
    first, second = one.run(event(start=1)), one.run(event())
    assert (first.unfinished, second.unfinished) == (1, 0)
    go.append(True)
    assert one.run(event(start=1)).effects[-1].args == ("much later",)


def test_object_with_an_async_call():
    """An object that is called as a coroutine function is one."""

    class Handler:
        async def __call__(self, event):
            return await amail("ada")

    one = consumer(handle=Handler(), deadline=None)
    assert (one.name, one.run(event()).value) == (
        "test_object_with_an_async_call.<locals>.Handler",
        "queued",
    )


def test_on_a_running_loop():
    """On an event loop a comparison runs in a thread, and code beside it is not checked."""

    async def both():
        one = consumer(handle=ahandle)
        compared = asyncio.to_thread(one.compare, production=event(to=1, wait=1), sister=event(to=2, wait=1))
        found, beside = await asyncio.gather(compared, asyncio.sleep(0, MIRRORED.get()))
        return [each.path for each in found], beside

    assert asyncio.run(both()) == (["@effects.amail[0].args[0]"], False)


# Two events.


def test_same_effects():
    """Two events that say the same in other bytes are equal."""
    assert differing(consumer(), b'{"to":["ada"],"id":1}', b'{ "id" : 2, "to" : ["ada"] }') == []


def test_other_arguments():
    """Another argument is told with its target, number and place."""
    assert differing(consumer(), event(to=["a", "b"], body="x"), event(to=["a", "c"], body="x")) == [
        ("@effects.mail[1].args[0]", "changed", "b", "c")
    ]
    assert differing(consumer(), event(to=["a"], body="x"), event(to=["a"], body=3)) == [
        ("@effects.mail[0].kwargs.body", "type", "x", 3)
    ]


def test_effects_more_and_less():
    """An effect too few or too many is told, with its target if it is the only one there."""
    [less] = consumer().compare(production=event(to=["a", "b"]), sister=event(to=["a"]))
    assert (less.path, less.kind) == ("@effects.mail[1]", "missing")
    [more] = consumer().compare(production=event(to=["a"]), sister=event(to=["a"], audit=["x"]))
    assert (more.path, more.kind) == ("@effects.audit", "unexpected")


def test_order_of_effects():
    """The order counts for each target unless it is told not to, and never between targets."""
    one, other = event(to=["a", "b", "c"], audit=["x"]), event(to=["c", "a", "b"], audit=["x"])
    assert [each[:2] for each in differing(consumer(), one, other)] == [("@effects.mail", "order")]
    assert differing(consumer(ordered=False), one, other) == []
    assert differing(consumer(ordered=False), event(to=["a", "b"]), event(to=["d", "a"])) == [
        ("@effects.mail[1].args[0]", "changed", "b", "d")
    ]

    def swapped(event):
        first, second = (mail, audit) if event["first"] else (audit, mail)
        first("x")
        second("x")

    assert differing(consumer(handle=swapped), event(first=True), event(first=False)) == []


def test_rules_for_effects():
    """A comparator of the user's is given the effects as plain data, and what it ignores is ignored."""
    one = consumer(compare=structural(ignore=["$.mail[*].kwargs.body"]))
    found = one.compare(production=event(to=["a"], body="x"), sister=event(to=["a"], body="y"))
    assert (len(found), [each.path for each in found.ignored]) == (0, ["@effects.mail[0].kwargs.body"])


def test_values():
    """What handle returns is compared only if it is asked for."""
    assert differing(consumer(), event(value=1), event(value=2)) == []
    assert differing(consumer(values=True), event(value={"a": 1}), event(value={"a": 2})) == [
        ("@value.a", "changed", 1, 2)
    ]


def test_poison_pill():
    """An event of the sister that cannot be decoded is a poison pill, with decode's own error."""
    [found] = consumer().compare(production=event(), sister=b"\xff")
    assert (found.path, found.kind, found.control, found.note) == ("@decode", "raised", MISSING, "a poison pill")
    assert found.candidate.type == "builtins.UnicodeDecodeError"
    assert pickle.loads(pickle.dumps(found)) == found


def test_both_refuse():
    """Errors of both events are equal if class and text are, or as it is told."""
    assert differing(consumer(), b"{", b"{") == []
    assert differing(consumer(), event(**{"raise": 1}), event(**{"raise": 1})) == []
    [found] = consumer().compare(production=event(**{"raise": 1}), sister=event(**{"raise": 2}))
    assert (found.path, found.control.message, found.candidate.message) == ("@raised", "1", "2")
    assert differing(consumer(errors="type"), event(**{"raise": 1}), event(**{"raise": 2})) == []
    assert differing(consumer(errors="any"), b"{", b"\xff") == []
    assert [each[0] for each in differing(consumer(errors="type"), b"{", b"\xff")] == ["@decode"]


def test_effects_before_an_error():
    """Where both events fail alike, what was done before is compared."""
    assert differing(consumer(), event(to=["a"], **{"raise": 1}), event(to=["b"], **{"raise": 1})) == [
        ("@effects.mail[0].args[0]", "changed", "a", "b")
    ]


@pytest.mark.parametrize(
    ("production", "sister", "path"),
    [
        (event(), event(**{"raise": 1}), "@raised"),
        (event(**{"raise": 1}), b"{", "@decode"),
        (b"{", event(), "@decode"),
        (b"null", event(to=["a"]), "@skipped"),
        (event(to=["a"]), b"null", "@skipped"),
        (event(to=["a"]), event(), "@skipped"),
        (event(), event(to=["a"]), "@skipped"),
        (b"null", event(**{"raise": 1}), "@raised"),
    ],
)
def test_one_fails_and_the_other_does_not(production, sister, path):
    """Where one event fails or is passed over and the other is not, that is the one difference."""
    assert [each[0] for each in differing(consumer(), production, sister)] == [path]


def test_skipped_says_what_the_other_did():
    """A silent skip is told with what became of both events."""
    assert differing(consumer(), event(to=["a", "b"]), event()) == [
        ("@skipped", "changed", "handled, 2 effects", "handled, 0 effects")
    ]


def test_hanging_sister():
    """A sister's event that hangs the consumer is a difference; if both hang nothing is proved."""
    go = threading.Event()

    def hang(event):
        if event.get("hang"):
            go.wait(30)

    one = consumer(handle=hang, deadline=0.05)
    assert differing(one, event(), event(hang=1)) == [("@hung", "deadline", "handled", "hung")]
    found = one.compare(production=event(hang=1), sister=event(hang=1))
    assert (len(found), [each.rule for each in found.ignored]) == (0, ["deadline"])
    go.set()


def test_too_many_effects():
    """Effects above the ten thousand are not compared, and it is told."""
    one = consumer(handle=lambda event: [audit(number) for number in range(event["n"])] and None)
    found = one.compare(production=event(n=10_001), sister=event(n=10_001))
    assert (len(found), [(each.path, each.rule) for each in found.ignored]) == (0, [("@more", "too many")])


def test_comparator_that_raises():
    """What a comparator raises comes out, as it does wherever comparators are called."""

    def fail(*, control, candidate):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consumer(compare=fail).compare(production=event(to=["a"]), sister=event(to=["a"]))


# In tests of one's own.


def test_check():
    """In a test, an event is checked against another one, or must at least be handled."""
    one = consumer(name="mails")
    assert one.check(event(to=["ada"])).status == "handled"
    assert one.check(event(to=["ada"]), like=event(to=["ada"])).effects[0].args == ("ada",)
    with pytest.raises(AssertionError) as caught:
        one.check(event(to=["bob"]), like=event(to=["ada"]))
    assert str(caught.value) == (
        "mails does not take this event as it should:\n  @effects.mail[0].args[0] changed: 'ada' became 'bob'"
    )
    with pytest.raises(AssertionError, match=r"undecodable: json.decoder.JSONDecodeError"):
        one.check(b"{")
    with pytest.raises(AssertionError, match=r"@decode raised: nothing became json.*Error: .* \(a poison pill\)"):
        one.check(b"{", like=event())


def test_check_wants_a_proof():
    """A check fails where the fence refused something, though both events were refused alike."""
    one = consumer(handle=careless)
    with pytest.raises(AssertionError, match=r"the fence refused http\.client\.connect 127"):
        one.check(event())
    with pytest.raises(AssertionError, match=r"@refused: both were refused .*allow the address"):
        one.check(event(), like=event())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decode", None),
        ("handle", "x"),
        ("effects", []),
        ("skipped", True),
        ("compare", 3),
        ("errors", "text"),
        ("deadline", 0),
    ],
)
def test_wrong_options_of_a_consumer(field, value):
    """A wrong option is refused when the consumer is built, by its name."""
    with pytest.raises(ConfigError) as caught:
        consumer(**{field: value})
    assert caught.value.field == field


def test_skip_that_raises():
    """An error of the predicate for skips counts as the handler's."""
    one = consumer(skipped=lambda value: 1 / 0)
    assert one.run(event()).error.type == "builtins.ZeroDivisionError"
    assert repr(one) == "Consumer('handle')"


def test_in_a_check_itself():
    """A consumer that is checked may check one itself, and may not start what is refused."""
    inner = consumer(handle=careless)

    def outer(event):
        audit("outer")
        return inner.run(b"{}").status

    outcome = consumer(handle=outer).run(event())
    assert (outcome.value, list(map(str, outcome.effects)), outcome.refused) == ("handled", ["audit('outer')"], ())


def test_after_a_fork():
    """A forked child checks with threads of its own."""
    program = """
import os, sys
from shadowmig.wire.consumers import Consumer
one = Consumer(decode=bytes.decode, handle=len)
print(one.run(b"ab").value, flush=True)
child = os.fork()
if child == 0:
    print(one.run(b"abc").value, flush=True)
    os._exit(0)
os.waitpid(child, 0)
async def handle(event): return 7
print(Consumer(decode=bytes.decode, handle=handle).run(b"").value)
"""
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=without_coverage(), timeout=60)
    assert run.stdout.split() == ["2", "3", "7"]
    assert run.stderr == ""


def without_coverage():
    """Give the environment without what makes a program measure itself, which loads modules and warns."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def test_importing_is_cheap():
    """Importing consumers loads no event loop and no driver."""
    program = "import sys, shadowmig.wire.consumers; print(*sorted(sys.modules))"
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=without_coverage(), timeout=60)
    assert {"asyncio", "redis", "psycopg", "pymemcache", "hypothesis"} & set(run.stdout.split()) == set()


def test_refusal_is_an_error_of_ours():
    """A refused effect has its name, so that code can tell it from the world's errors."""

    def tell(event):
        try:
            time.sleep(0)
            os.system("true")
        except EffectRefused as error:
            return error.effect

    assert consumer(handle=tell).run(event()).value == "os.system"
    assert isinstance(consumer().compare(production=b"{", sister=event())[0], Difference)


def test_live_in_an_event_stream():
    """An event stream gives every pair to its consumer, and what differs there is a fault of the event."""
    production, sister = MemoryEvents(codec=Json()), MemoryEvents(codec=Json())
    quiet = structural(ignore=["$"])
    with EventStream(
        "mails", production=production, sister=sister, compare=quiet, consumer=consumer(), begin="start"
    ) as stream:
        for number, (old, new) in enumerate([("ada", "ada"), ("ada", "bob")]):
            production.append(event(to=[old], x=1), id=str(number))
            sister.append(event(to=[new], x=2), id=str(number))
        for _ in range(3):
            stream.step()
        [fault] = stream.faults()
    assert (fault.id, [each.path for each in fault.differences]) == ("1", ["@effects.mail[0].args[0]"])
