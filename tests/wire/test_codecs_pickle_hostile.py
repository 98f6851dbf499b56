"""Pickles made to harm: what takes memory or time by far beyond the bytes, ends the process, or changes others."""

import enum
import subprocess
import sys
import tracemalloc
from collections import defaultdict, deque
from datetime import datetime

import pytest

from shadowmig.errors import CodecError
from shadowmig.wire.codecs import Pickle, StandIn

LIMIT = 64 * 1024
NAME = __name__.encode()
PLAIN = b"c%s\nPlain\n)\x81" % NAME
STAND_IN = b"cx\nY\n"


class Plain:
    """An object without anything."""


class Many(list):
    """A list of its own."""


class Pairs(dict):
    """A dict of its own."""


class Color(enum.Enum):
    RED = 1


def text(value):
    """A text, as protocol 2 writes it."""
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def filled(start, step, limit=LIMIT):
    """A pickle that repeats one step for as long as the limit allows."""
    return start + step * ((limit - len(start) - 1) // len(step)) + b"."


def reason_of(data, **options):
    """Why a pickle is refused."""
    with pytest.raises(CodecError) as caught:
        Pickle(**{"limit": LIMIT, **options}).decode(data, 0)
    return caught.value.reason


MEMBERS = b"(" + b"".join(text(f"{number:04}") + b"N" for number in range(1000)) + b"d"
PAIRS = b"(" + b"".join(b"M" + number.to_bytes(2, "little") + b"N\x86" for number in range(1000)) + b"l"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (filled(text("a" * 20_000) + b"q\x000(", b"h\x00h\x00\x93"), "class not allowed"),
        (filled(text("a") + b"q\x000(", b"h\x00h\x00\x93"), "too large"),
        (filled(b"cbuiltins\ngetattr\nq\x000" + text("a" * 50) + b"q\x010" + STAND_IN, b"q\x020h\x00h\x02h\x01\x86R"),
         "class not allowed"),
        (filled(b"(" + b"N" * 10_000 + b"tq\x000" + STAND_IN + b"q\x010(", b"h\x01h\x00R"), "too large"),
        (filled(b"(" + b"N" * 10_000 + b"tq\x000" + STAND_IN + b"q\x010}q\x020h\x01)R", b"h\x01h\x00h\x02\x92"),
         "too large"),
        (filled(PAIRS + b"q\x000ccollections\nOrderedDict\nq\x010(", b"h\x01h\x00\x85R"), "too large"),
    ],
    ids=["long names", "names", "names in names", "arguments", "arguments by name", "pairs"],
)  # fmt: skip
def test_what_is_copied_is_counted(data, reason):
    """Short bytes that have something long copied again and again are refused, within 32 times the limit."""
    tracemalloc.start()
    try:
        assert reason_of(data, stand_ins="*") == reason
        assert tracemalloc.get_traced_memory()[1] < 32 * LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("data", "options"),
    [
        (filled(MEMBERS + b"q\x000}q\x010" + STAND_IN + b")Rh\x00b", b"h\x01b", 2**20), {"stand_ins": "*"}),
        (filled(MEMBERS + b"q\x000" + PLAIN, b"h\x00b", 2**20), {"allow": [Plain]}),
        (filled(MEMBERS + b"q\x000N" + PLAIN, b"Nh\x00\x86b", 2**20), {"allow": [Plain]}),
        (filled(b"c%s\nMany\n)\x81" % NAME, b"Na", 2**20), {"allow": [Many]}),
        (filled(b"c%s\nPairs\n)\x81" % NAME, b"NNs", 2**20), {"allow": [Pairs]}),
    ],
    ids=["states of stand-ins", "states", "slots", "elements", "members"],
)
def test_what_takes_long_is_counted(data, options):
    """A pickle that has the same work done again and again is refused before it takes long."""
    assert reason_of(data, limit=2**20, **options) == "too large"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("keys", [b"h\x01", b"h\x01\x85", b"h\x01h\x01\x86"])
def test_long_keys_that_are_equal(keys):
    """Long keys that are compared to their end, again and again, are refused before they take long."""
    long = text("a" * 300_000)
    data = filled(b"}" + long + b"q\x00Ns" + long + b"q\x010", keys + b"Ns", 2**20)
    assert reason_of(data, limit=2**20) == "too large"


@pytest.mark.timeout(60)
def test_memo_indices_of_one_hash():
    """Indices of the memo that all have one hash, or are none, are refused."""
    prime = sys.hash_info.modulus
    assert reason_of(b"N" + b"".join(b"p%d\n" % (prime * number) for number in range(1, 50_000)), limit=2**24) == (
        "broken"
    )
    assert reason_of(b"Np-1\n.") == "broken"
    assert reason_of(b"Np0\ng%d\n." % prime) == "broken"


DEEP = """
import threading
from collections import deque
from shadowmig.errors import CodecError
from shadowmig.wire.codecs import Pickle

def read():
    for name, step, end in ((b"defaultdict", b"Nh\\x00)R", b"s"), (b"deque", b"h\\x00)R", b"a")):
        for last in (b".", b"0N.", b"q\\x010N."):
            data = b"ccollections\\n%s\\nq\\x00)R" % name + step * 20_000 + end * 20_000 + last
            try:
                print(Pickle(allow=[deque]).decode(data, 0))
            except CodecError as error:
                print(error.reason)

threading.stack_size(512 * 1024)
thread = threading.Thread(target=read)
thread.start()
thread.join()
"""


def test_what_python_cannot_forget_is_emptied():
    """Containers nested too deeply for Python to forget are refused, or thrown away, and the process goes on."""
    done = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.split("\n")[:-1]) == (0, ["too deep", "None", "None"] * 2), done.stderr


@pytest.mark.parametrize("protocol", range(6))
def test_what_is_kept_is_not_emptied(protocol):
    """What is part of the value stays as it is, beside others that were made and thrown away."""
    inner = defaultdict(list, {"a": [1]})
    value = [defaultdict(None, {1: inner, 2: defaultdict(int)}), deque([deque([1]), inner]), "x" * 2000]
    codec = Pickle(allow=[deque], protocol=protocol)
    data, _ = codec.encode(value)
    assert codec.decode(data, 0) == value
    made = b"ccollections\ndefaultdict\n)R"
    thrown = made + b"N" + made + b"NNss0"
    assert codec.decode(thrown + data.removeprefix(b"\x80" + bytes((protocol,))), 0) == value


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("datetime", b"\x07\xe8\x01\xff\x00\x00\x00\x00\x00\x00"),
        ("datetime", b"\x07\xe8\x01\x01\x18\x00\x00\x00\x00\x00"),
        ("datetime", b"\x07\xe8\x01\x01\x00\x00\x00\xff\xff\xff"),
        ("datetime", b"\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00"),
        ("date", b"\x07\xe8\x02\x1e"),
        ("date", b"\xff\xff\x02\x01"),
        ("time", b"\x17\x3c\x00\x00\x00\x00"),
        ("time", b"\x17\x00\x00\xff\xff\xff"),
    ],
)
def test_moments_that_there_are_not(name, state):
    """The state of a moment that no calendar or clock has is refused, where the standard module takes it."""
    data = b"cdatetime\n%s\nC" % name.encode() + bytes((len(state),)) + state + b"\x85R."
    assert reason_of(data) == "broken"


def test_text_as_the_state_of_a_moment():
    """A moment whose state is text is of Python 2, and none where that is to be bytes."""
    data = b"cdatetime\ntime\n" + text("\x01\x02\x03\0\0\0") + b"\x85R."
    assert Pickle(encoding="latin1").decode(data, 0).second == 3
    assert reason_of(data, encoding="bytes") == "broken"


def test_members_of_enums_are_not_changed():
    """A pickle makes a member of an allowed enum, and cannot give it another state."""
    red = b"c%s\nColor\nK\x01\x85R" % NAME
    codec = Pickle(allow=[Color])
    assert codec.decode(red + b".", 0) is Color.RED
    assert reason_of(red + b"}" + text("_value_") + b"K\x02sb.", allow=[Color]) == "broken"
    assert Color.RED.value == 1


@pytest.mark.parametrize("value", [StandIn("x.Y"), [StandIn("x.Y", state={"at": datetime(2024, 1, 1)})]])  # noqa: DTZ001 - no zone is needed
def test_stand_ins_are_not_written(value):
    """A stand-in is not written, for it is no instance of what it stands for."""
    with pytest.raises(CodecError) as caught:
        Pickle(stand_ins="*").encode(value)
    assert caught.value.reason == "class not allowed"
