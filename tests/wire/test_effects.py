"""Stand-ins for functions and objects: the real thing in ordinary code, a record inside of a check."""

import asyncio
import copy
import enum
import functools
import pickle
import threading
from collections import OrderedDict, deque, namedtuple
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from pathlib import PurePosixPath
from types import SimpleNamespace

import attrs
import pytest

from shadowmig.errors import ConfigError, EffectRefused
from shadowmig.stores import MemoryStore
from shadowmig.wire.effects import Effect, Effects
from shadowmig.wire.effects._check import CHECK, MOST, Check
from shadowmig.wire.effects._snapshot import DEPTH, NODES, snapshot
from shadowmig.wire.fence import FENCE, Fence


def checked(function, *args):
    """Call a function inside of a check, and give what it returned and what was recorded."""
    check = Check(Fence())

    def inside():
        CHECK.set(check)
        FENCE.set(check.fence)
        try:
            return function(*args)
        finally:
            check.end()

    value = copy_context().run(inside)
    return value, [str(effect) for effect in check.effects]


class Mailer:
    """Sends mail; all that it does is in ``sent``."""

    host = "mail.example.com"

    def __init__(self):
        self.sent = []
        self.folder = SimpleNamespace(move=self.sent.append, size=3)

    def send(self, to, body="", *, urgent=False):
        """Send one."""
        if to is None:
            raise ValueError("nobody")
        self.sent.append(to)
        return "real"

    async def send_later(self, to):
        self.sent.append(to)
        return "later"

    def count(self):
        return len(self.sent)

    async def count_later(self):
        return len(self.sent)

    def __len__(self):
        return len(self.sent)

    def __getitem__(self, number):
        return self.sent[number]

    def __contains__(self, to):
        return to in self.sent

    def __iter__(self):
        return iter(self.sent)

    def __call__(self, to, **options):
        return self.send(to, **options)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.sent.append("left")

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        self.sent.append("aleft")


def test_function_passes_through():
    """In ordinary code a stand-in gives value, exception, name and attributes of the real function."""
    sent = []

    def send(to, *, body=""):
        """Send one."""
        sent.append((to, body))
        return len(sent) / (to != "zero")

    send.retries = 3
    stand_in = Effects().wrap(send)
    assert stand_in("ada", body="hi") == 1.0
    with pytest.raises(ZeroDivisionError):
        stand_in("zero")
    assert (stand_in.__name__, stand_in.__doc__, stand_in.retries) == ("send", "Send one.", 3)
    assert len(sent) == 2


def test_function_is_recorded():
    """Inside of a check the function is not called, and its arguments and what it is to return are as told."""
    real = []
    stand_in = Effects().wrap(real.append, name="mail", returns=lambda *args, **kwargs: (args, kwargs))
    assert checked(lambda: stand_in("ada", body=b"hi")) == (
        (("ada",), {"body": b"hi"}),
        ["mail('ada', body=b'hi')"],
    )
    assert real == []


def test_decorator_form():
    """Without a function, wrap is a decorator, and the name is the function's own unless another is given."""
    effects = Effects()

    @effects.wrap(returns=[1])
    def send(to):
        return to

    value, seen = checked(lambda: (send(1), send(2)))
    assert value == ([1], [1])
    assert value[0] is not value[1]
    assert seen == ["test_decorator_form.<locals>.send(1)", "test_decorator_form.<locals>.send(2)"]
    assert send(5) == 5


def test_coroutine_functions():
    """A coroutine function is stood in for by one, whose answer may come from a coroutine function too."""

    async def send(to):
        return to

    async def answer(to):
        return to * 2

    plain = Effects().wrap(send, name="plain", returns=7)
    asked = Effects().wrap(send, name="asked", returns=answer)
    assert asyncio.iscoroutinefunction(plain)
    assert asyncio.run(plain(1)) == 1

    async def both():
        return await plain(1), await asked(2)

    assert checked(asyncio.run, both()) == ((7, 4), ["plain(1)", "asked(2)"])


def test_later_mutation_does_not_reach_the_record():
    """What is done to an argument afterwards is not in the record."""
    send = Effects().wrap(lambda event: None, name="send")

    def handle():
        event = {"tags": ["a"]}
        send(event)
        event["tags"].append("b")

    assert checked(handle)[1] == ["send({'tags': ['a']})"]


def test_object_passes_through():
    """In ordinary code a stand-in for an object behaves, looks and answers as the object."""
    real = Mailer()
    mailer = Effects().wrap(real)
    assert mailer.send("ada") == "real"
    with pytest.raises(ValueError, match="nobody"):
        mailer.send(None)
    assert mailer("bob") == "real"
    assert asyncio.run(mailer.send_later("eve")) == "later"
    assert (len(mailer), mailer[1], "ada" in mailer, list(mailer)) == (3, "bob", True, ["ada", "bob", "eve"])
    assert isinstance(mailer, Mailer)
    assert (mailer == real, mailer == copy.copy(real), hash(mailer) == hash(real)) == (True, False, True)
    assert mailer == Effects().wrap(real)
    assert (repr(mailer), str(mailer), bool(mailer), "send" in dir(mailer)) == (repr(real), str(real), True, True)
    assert (mailer.host, mailer.folder is real.folder, mailer.send.__doc__) == (real.host, True, "Send one.")
    assert (callable(mailer), callable(Effects().wrap(SimpleNamespace()))) == (True, False)
    mailer.host = "other"
    assert real.host == "other"
    del mailer.host
    assert real.host == Mailer.host
    with mailer as entered:
        assert entered is real
    with pytest.raises(AttributeError, match="nothing"):
        _ = mailer.nothing

    async def block():
        async with mailer as entered:
            assert entered is real

    asyncio.run(block())
    assert real.sent[-2:] == ["left", "aleft"]


def test_object_is_recorded():
    """Inside of a check methods are recorded, those that only read are performed, and the object stays as it was."""
    real = Mailer()
    real.sent.append("before")
    mailer = Effects().wrap(
        real, name="mailer", returns={"send": "queued"}, reads=["count", "count_later", "__len__", "__iter__"]
    )

    async def later():
        async with mailer as same:
            assert same is mailer
        return await mailer.send_later("eve"), await mailer.count_later()

    def handle():
        with mailer as same:
            same.host = "other"
            del same.host
        kept = mailer.send
        return kept("ada", body="hi"), mailer("bob"), mailer.count(), len(mailer), list(mailer), asyncio.run(later())

    value, seen = checked(handle)
    assert value == ("queued", None, 1, 1, ["before"], (None, 1))
    assert seen == [
        "mailer.__setattr__('host', 'other')",
        "mailer.__delattr__('host')",
        "mailer.send('ada', body='hi')",
        "mailer.__call__('bob')",
        "mailer.send_later('eve')",
    ]
    assert real.sent == ["before"]
    assert real.host == Mailer.host


def test_method_taken_before_is_recorded():
    """A method taken from the stand-in in ordinary code is recorded when it is called inside of a check."""
    real = Mailer()
    send = Effects().wrap(real, name="mailer").send
    send("ada")
    assert checked(send, "bob") == (None, ["mailer.send('bob')"])
    assert real.sent == ["ada"]


def test_objects_inside_objects():
    """An object that is an attribute gets a stand-in of its own inside of a check, and data is read."""
    real = Mailer()
    mailer = Effects().wrap(real, name="mailer")
    assert checked(lambda: (mailer.host, mailer.folder.size, mailer.folder.move("x"))) == (
        (Mailer.host, 3, None),
        ["mailer.folder.move('x')"],
    )
    assert real.sent == []


def test_partials_and_classes():
    """A partial and a class are stood in for as functions are."""
    sent = []
    send = Effects().wrap(partial(sent.append), name="send")
    client = Effects().wrap(Mailer, name="Mailer", returns=SimpleNamespace(send=len))
    send(1)
    assert checked(lambda: (send(2), client().send("abc"))) == ((None, 3), ["send(2)", "Mailer()"])
    assert sent == [1]
    assert isinstance(client(), Mailer)


def test_other_threads_are_not_affected():
    """While one thread is inside of a check, another one that uses the same stand-in has real effects."""
    real = Mailer()
    mailer = Effects().wrap(real, name="mailer")
    inside, done = threading.Event(), threading.Event()

    def other():
        inside.wait(10)
        mailer.send("other")
        done.set()

    thread = threading.Thread(target=other)
    thread.start()

    def handle():
        mailer.send("checked")
        inside.set()
        assert done.wait(10)

    assert checked(handle)[1] == ["mailer.send('checked')"]
    thread.join()
    assert real.sent == ["other"]


def test_tasks_beside_each_other():
    """Of two tasks of one loop only the one inside of a check is recorded."""
    real = Mailer()
    mailer = Effects().wrap(real, name="mailer")

    async def both():
        _, seen = checked(lambda: asyncio.ensure_future(mailer.send_later("checked")))
        task = asyncio.ensure_future(mailer.send_later("real"))
        await asyncio.sleep(0)
        await task
        return seen

    asyncio.run(both())
    assert real.sent == ["real"]


def test_record_of_a_check_is_bounded():
    """Ten thousand effects are recorded, the rest are counted, and none is performed."""
    real = []
    send = Effects().wrap(real.append, name="send")
    check = Check(Fence())

    def many():
        CHECK.set(check)
        for number in range(MOST + 5):
            send(number)
        check.seal()
        send(0)

    copy_context().run(many)
    assert (len(check.effects), check.more, real) == (MOST, 5, [])


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Effects(allow="no port:x"), "allow"),
        (lambda: Effects(allow=7), "allow"),
        (lambda: Effects().wrap(print, reads=["x"]), "reads"),
        (lambda: Effects().wrap(partial(print)), "name"),
        (lambda: Effects().wrap(print, name=3), "name"),
        (lambda: Effects().client(Mailer(), perform="maybe"), "perform"),
        (lambda: Effects().client(Mailer(), perform=True), "perform"),
        (lambda: Effects().client(MemoryStore().client(), perform="rollback"), "perform"),
    ],
)
def test_wrong_options(make, field):
    """A wrong option is refused when it is given, by its name."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.field == field


def test_unknown_client():
    """Of a client that nobody knows, methods not named as reading are recorded."""
    real = Mailer()
    client = Effects().client(real, reads="count")
    assert checked(lambda: (client.send("ada"), client.count())) == ((None, 0), ["Mailer.send('ada')"])


def test_effect_as_plain_data():
    """What is compared of an effect is its method and its arguments."""
    effect = Effect("mailer", "send", ("ada",), {"urgent": True})
    assert effect.plain() == {"method": "send", "args": ["ada"], "kwargs": {"urgent": True}}
    assert str(effect) == "mailer.send('ada', urgent=True)"


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")


@attrs.frozen
class Mail:
    to: str
    colour: Colour
    _secret: int = 0


class Slotted:
    __slots__ = ("__dict__", "a", "never")

    def __init__(self):
        self.a = [1]
        self.b = 2


class OneSlot:
    __slots__ = "only"  # noqa: PLC0205 - Python takes one name as text too

    def __init__(self):
        self.only = "x"


class Rude:
    def __init__(self):
        self.fields = 1

    def __getattribute__(self, name):
        raise RuntimeError(name)


class Text(str):
    def __str__(self):
        raise RuntimeError


MOMENT = datetime(2024, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (MOMENT, MOMENT),
        ((1, [2.5, "x"]), [1, [2.5, "x"]]),
        (deque([1]), [1]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(a={"b": b"c"}), {"a": {"b": b"c"}}),
        ({Colour.RED: 1, (1, "x"): 2, Level.HIGH: 3}, {"red": 1, (1, "x"): 2, 3: 3}),
        ({print: 1, len: 2}, {"<builtins.print>": 1, "<builtins.len>": 2}),
        ({1, 2}, frozenset({1, 2})),
        (frozenset({Point(1, 2)}), [[1, 2]]),
        (Colour.RED, "red"),
        (Text("abc"), "abc"),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (PurePosixPath("/a/b"), "/a/b"),
        (ValueError("no", 3), {"$type": "builtins.ValueError", "args": ["no", 3]}),
        (Mail("ada", Colour.RED), {"$type": "test_effects.Mail", "to": "ada", "colour": "red"}),
        (Slotted(), {"$type": "test_effects.Slotted", "a": [1], "b": 2}),
        (OneSlot(), {"$type": "test_effects.OneSlot", "only": "x"}),
        (Mail, "<test_effects.Mail>"),
        (len, "<builtins.len>"),
        (object(), "<builtins.object>"),
        ((each for each in "ab"), "<builtins.<genexpr>>"),
    ],
)
def test_snapshot(value, plain):
    """A value becomes plain data that shares nothing with it."""
    found = snapshot(value)
    assert found == plain
    assert type(found) is type(plain)


def test_snapshot_of_what_cannot_be_read():
    """A value whose own code raises at every look becomes its class's name."""
    assert snapshot([Rude()]) == ["<unreadable test_effects.Rude>"]


def test_snapshot_of_cycles_and_depth():
    """What holds itself, is very deep or very large is cut, and a value that comes twice is there twice."""
    loop = [1]
    loop.append(loop)
    assert snapshot(loop) == [1, "<cycle>"]
    twice = [1]
    assert snapshot([twice, twice]) == [[1], [1]]
    deep = []
    for _ in range(5000):
        deep = [deep]
    found, levels = snapshot(deep), 0
    while isinstance(found, list):
        found, levels = found[0], levels + 1
    assert (found, levels) == ("<cut>", DEPTH + 1)
    assert len(snapshot([[] for _ in range(NODES * 2)])) <= NODES


def test_context_manager_functions():
    """A function that gives a context manager is recorded when it is called, and gives what it is told to."""

    @contextmanager
    def lock(name):
        raise AssertionError("taken for real")
        yield

    taken = Effects().wrap(lock, name="lock", returns=lambda name: contextmanager(lambda: iter([name]))())

    def handle():
        with taken("comment") as name:
            return name

    assert checked(handle) == ("comment", ["lock('comment')"])


# What ordinary code must not notice, and a check must not let through.


class Steps:
    def __init__(self):
        self.number = 0
        self.held = {"list": [1]}
        self.open = [threading.Lock()]

    def __next__(self):
        self.number += 1
        return self.number

    def __lt__(self, other):
        return self.number < other

    def __iadd__(self, by):
        self.number += by
        return self


def test_special_methods_pass_through():
    """In ordinary code a stand-in has all the special methods of the real object, and stays what it is."""
    real = Steps()
    steps = Effects().wrap(real, name="steps")
    same = steps
    same += 5
    assert same is steps
    assert (next(steps), steps < 7, steps != real, real.number) == (6, True, False, 6)
    index = Effects().wrap({"a": 1}, name="index")
    same = index
    same |= {"b": 2}
    assert same is index
    assert (list(reversed(index)), index | {"c": 3}) == (["b", "a"], {"a": 1, "b": 2, "c": 3})
    assert copy.deepcopy(index) == pickle.loads(pickle.dumps(index)) == {"a": 1, "b": 2}
    assert type(copy.copy(Effects().wrap(Mailer()))) is Mailer
    assert checked(lambda: index.__ior__({"d": 4}))[1] == ["index.__ior__({'d': 4})"]
    assert "d" not in index


def test_data_of_an_object_is_not_changed():
    """Inside of a check containers that are attributes are copies, and what cannot be copied is refused by name."""
    real = Steps()
    steps = Effects().wrap(real, name="steps")

    def handle():
        steps.held["list"].append(2)
        with pytest.raises(EffectRefused, match=r"steps\.open was refused"):
            _ = steps.open
        with pytest.raises(EffectRefused, match=r"steps\.copy was refused"):
            copy.deepcopy(steps)
        return steps.held

    assert checked(handle) == ({"list": [1]}, [])
    steps.held["list"].append(3)
    assert real.held == {"list": [1, 3]}


def test_attributes_of_functions():
    """What can be called among the attributes of a function or a class is recorded too, and works in ordinary code."""
    sent = []

    @functools.lru_cache
    def send(to):
        return to

    def later(to):
        sent.append(to)

    def queued(to):
        return to

    queued.later, queued.task, queued.tries, queued.itself = later, Mailer(), 3, queued
    cached, queue = Effects().wrap(send, name="send"), Effects().wrap(queued, name="queue")
    assert (cached(1), cached.cache_info().currsize) == (1, 1)
    queue.later("ada")
    queue.task.send("bob")
    assert (sent, queued.task.sent, queue.tries) == (["ada"], ["bob"], 3)
    assert checked(lambda: (queue.later("x"), queue.task("y"), queue.task.send("z"), cached.cache_clear())) == (
        (None, None, None, None),
        ["queue.later('x')", "queue.task.__call__('y')", "queue.task.send('z')", "send.cache_clear()"],
    )
    assert (sent, queued.task.sent, cached.cache_info().currsize) == (["ada"], ["bob"], 1)
    moment = Effects().wrap(datetime, name="moment")
    assert moment.fromisoformat("2024-02-29").day == 29
    assert checked(moment.now)[1] == ["moment.now()"]


def test_attributes_that_can_be_called():
    """An attribute that is an object and can be called is both: its calls are its owner's, its methods its own."""
    real = SimpleNamespace(task=Mailer(), later=partial(len))
    tasks = Effects().wrap(real, name="tasks", returns={"task": 7})
    assert (tasks.task.send("ada"), tasks.task("bob"), tasks.later("abc")) == ("real", "real", 3)
    assert tasks.task.host == Mailer.host
    assert checked(lambda: (tasks.task("x"), tasks.task.send("y"), tasks.later("z"), tasks.task.host)) == (
        (7, None, None, Mailer.host),
        ["tasks.task('x')", "tasks.task.send('y')", "tasks.later('z')"],
    )
    assert real.task.sent == ["ada", "bob"]


def test_answers_are_fresh():
    """A container inside of a tuple is given as it was to every call."""
    send = Effects().wrap(lambda: None, name="send", returns=([],))

    def handle():
        send()[0].append(1)
        return send()

    assert checked(handle)[0] == ([],)


class Shy:
    @property
    def fine(self):
        """Be had of objects only."""

    class Never:
        def __get__(self, *args):
            raise RuntimeError("not now")

    never = Never()


def test_attributes_that_cannot_be_had():
    """A class with an attribute that raises can be wrapped all the same."""
    shy = Effects().wrap(Shy, name="shy")
    assert (type(shy()), shy.fine, hasattr(shy, "never")) == (Shy, Shy.fine, False)


class Moment(datetime):
    """As libraries of dates have them: a subclass without fields."""


class Key:
    def __hash__(self):
        return 1

    def __eq__(self, other):
        return self is other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Moment(2024, 1, 1), Moment(2024, 1, 2)),
        (ip_address("10.0.0.1"), ip_address("10.0.0.2")),
        (range(3), range(4)),
        ({Text("a"): 1, Text("b"): 2}, {Text("a"): 1, Text("c"): 2}),
        ({Key(): 1, Key(): 2}, {Key(): 1}),
        ({frozenset({1}): 1}, {frozenset({2}): 1}),
        ({(1, (2,)): 1}, {(1, (3,)): 1}),
    ],
)
def test_snapshot_of_values_without_fields(one, other):
    """Values that hide their fields are told apart by what they show of themselves, keys of dicts too."""
    assert snapshot(one) != snapshot(other)
    assert snapshot(one) == snapshot(one)


def test_snapshot_of_identities():
    """Of an object without fields that shows nothing but where it lies there is the class only."""
    assert snapshot([Key(), threading.Lock()]) == ["<test_effects.Key>", "<_thread.lock>"]


@pytest.mark.parametrize("given", [{"reads": ["cuont"]}, {"returns": {"sned": "queued"}}])
def test_methods_that_there_are_not(given):
    """A method that the object does not have is refused when the stand-in is made, by its name."""
    with pytest.raises(ConfigError, match=r"(reads names 'cuont'|returns names 'sned'), which a list does not have"):
        Effects().wrap([], name="list", **given)
