"""`ProcessCodec` against real programs, good ones and bad ones."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from shadowmig.errors import CodecError, CodecUnavailable, ConfigError
from shadowmig.model import MISSING
from shadowmig.protocols import BatchCodec
from shadowmig.wire.codecs import _process_child
from shadowmig.wire.codecs._process_pool import Pool
from shadowmig.wire.codecs.process import ProcessCodec

PROGRAM = str(Path(__file__).parent / "programs" / "codec.py")
PYTHON = [sys.executable, "-IS", PROGRAM]


def codec(mode="good", *more, **options):
    """Build a codec whose program does what the mode says."""
    return ProcessCodec([*PYTHON, mode, *more], **{"timeout": 10.0, **options})


def child_of(built):
    """Give the process id of its one program."""
    return built._pool._seats[0].partner.pid


def end(built, thread):
    """End a thread whose question hangs, by killing whom it asks, for it asks again."""
    while thread.is_alive():
        for seat in built._pool._seats:
            if seat.partner._asking and seat.partner.pid:
                os.kill(seat.partner.pid, signal.SIGKILL)
        thread.join(0.01)
    for seat in built._pool._seats:
        seat.rests_until = 0.0  # one that was killed while it started is left alone for a while


def gone(pid):
    """Tell whether a process has ended, waiting a while for it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":  # ended, and whoever adopted it has not noticed yet
            return True
        time.sleep(0.01)
    return False


def test_other_program_encodes_and_decodes():
    """Values and bytes go to the program and come back."""
    with codec() as built:
        assert built.encode({"body": "höi", "score": 3}) == (b'{"body": "h\\u00f6i", "score": 3}', 7)
        assert built.decode(b'{"score": 3.5, "ok": [true, null]}', 0) == {"score": 3.5, "ok": [True, None]}
        assert isinstance(built, BatchCodec)


def test_process_batch_has_one_result_for_each_item():
    """In a batch, an item that the program or the tagged form refuses has an error, and the others their results."""
    with codec() as built:
        refused, fine = built.decode_many([(b"?", 0), (b"1", 0)])
        assert fine == 1
        assert type(refused) is CodecError
        assert (str(refused), refused.reason) == ("no JSON", "ValueError")
        bad, good = built.encode_many([object(), 5])
        assert bad.reason == "no tagged form"
        assert good == (b"5", 7)
        assert built.decode_many([]) == built.encode_many([]) == []
        with pytest.raises(CodecError, match="no JSON"):
            built.decode(b"?", 0)


def test_program_is_kept_warm_and_ended():
    """The program is started at the first question, stays for all others, and is gone after closing, twice too."""
    built = codec()
    assert child_of(built) is None
    built.encode(1)
    pid = child_of(built)
    built.encode(2)
    assert child_of(built) == pid
    built.close()
    built.close()
    assert gone(pid)
    with pytest.raises(CodecUnavailable, match="closed"):
        built.encode(3)


@pytest.mark.parametrize("mode", ["stubborn", "parent"])
def test_stubborn_program_is_ended(mode, monkeypatch):
    """A program that ignores the end of its input and SIGTERM is killed, and what it started with it."""
    monkeypatch.setattr(_process_child, "_GRACE", 0.1)
    with codec(mode) as built:
        built.encode(1)
        pid = child_of(built)
        nested = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
        nested = nested.stdout.split()
        assert len(nested) == (mode == "parent")
    assert gone(pid)
    assert all(gone(each) for each in nested)


FAILURES = {
    "hang": ("hung", "did not answer within"),
    "drip": ("hung", "did not answer within"),
    "flood-stderr": ("hung", "did not answer within"),
    "die": ("died", r"Its exit status was 3\. It said: first line \| the very \\x1b\[31mlast words"),
    "kill": ("died", "killed by signal 9"),
    "flood": ("broke the protocol", "no JSON|more than one line|longer than"),
    "endless": ("broke the protocol", "longer than 2000000 bytes"),
    "fewer": ("broke the protocol", "so many items"),
    "more": ("broke the protocol", "so many items"),
    "wrong-id": ("broke the protocol", "not the id"),
    "text-id": ("broke the protocol", "not the id"),
    "no-json": ("broke the protocol", "is no JSON at byte 0"),
    "no-utf8": ("broke the protocol", "is no JSON"),
    "no-object": ("broke the protocol", "no object"),
    "no-items": ("broke the protocol", "so many items"),
    "deep": ("broke the protocol", "levels"),
    "no-base64": ("broke the protocol", "no base64"),
    "no-flags": ("broke the protocol", "32 bits"),
    "no-answer": ("broke the protocol", "no answer"),
    "no-reason": ("broke the protocol", "reason"),
    "two-lines": ("broke the protocol", "more than one line"),
}


@pytest.mark.parametrize("mode", FAILURES)
def test_poisonous_item_is_named_and_the_others_get_answers(mode):
    """Whatever a program does at one item, that item is unavailable with the reason, and all others have results."""
    reason, text = FAILURES[mode]
    with codec(mode, timeout=1.0 if reason == "hung" else 10.0, max_reply=2_000_000) as built:
        values = [f"value {number}" for number in range(20)]
        values[7] = "poison"
        results = built.encode_many(values)
        assert [data for data, _ in results[:7] + results[8:]] == [
            json.dumps(value).encode() for value in values if value != "poison"
        ]
        error = results[7]
        assert type(error) is CodecUnavailable
        assert str(error).startswith(f"{Path(sys.executable).name}: ")
        assert error.reason == reason
        assert re.search(text, str(error)), str(error)
        assert len(str(error)) < 4000
        assert built.encode("again") == (b'"again"', 7)


def test_poison_is_named_when_decoding_too():
    """An item at which the program dies while it decodes is unavailable, and the others are read."""
    with codec("die") as built:
        one, bad, two = built.decode_many([(b"1", 0), (b'"poison"', 0), (b"2", 0)])
        assert (one, two) == (1, 2)
        assert bad.reason == "died"
        with pytest.raises(CodecUnavailable, match="exit status was 3"):
            built.decode(b'"poison"', 0)


STARTS = {
    "exit": "did not start.*ended. Its exit status was 4. It said: first line",
    "silent": "did not start.*did not answer within 0.5 s",
    "chatty": "did not start.*(no JSON|more than one line)",
    "old": "did not start.*no hello",
    "newer": "did not start.*speaks version 2, not 1",
}


@pytest.mark.parametrize("mode", STARTS)
def test_program_that_does_not_start_is_named(mode):
    """A program without a right hello makes all items unavailable at once, and is left alone for a while."""
    with codec(mode, timeout=0.5 if mode == "silent" else 10.0) as built:
        results = built.encode_many([1, 2, 3])
        assert [each.reason for each in results] == ["not started"] * 3
        assert re.search(STARTS[mode], str(results[0])), str(results[0])
        assert child_of(built) is None
        # Not started again at once.
        with pytest.raises(CodecUnavailable, match="Not asked so soon after it failed"):
            built.encode(4)


def test_program_that_is_away_for_long_is_named():
    """A program that has failed thousands of times is still unavailable, and nothing else."""
    with codec("exit") as built:
        (seat,) = built._pool._seats
        for seat.failures in (100, 2000):
            seat.rests_until = 0.0
            with pytest.raises(CodecUnavailable, match="did not start"):
                built.encode(1)


def test_failure_keeps_nothing_of_whoever_was_told():
    """What a thread that was told of a failure had in its hands is free again when it is done."""

    class Held:
        pass

    with codec("die") as built:

        def ask():
            held = Held()
            with pytest.raises(CodecUnavailable):
                built.encode("poison")
            return weakref.ref(held)

        found = ask()
        gc.collect()
        assert found() is None


def test_program_that_cannot_be_run_is_named(tmp_path):
    """A file that is no program, or went away, is named as not started."""
    program = tmp_path / "codec"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    with ProcessCodec([str(program)]) as built, pytest.raises(CodecUnavailable, match="could not be started") as caught:
        built.encode(1)
    assert caught.value.reason == "not started"


def test_program_that_fails_always_is_given_up():
    """Of many items that all kill the program only the first few are tried, and all are unavailable."""
    with codec("die") as built:
        results = built.encode_many(["poison"] * 200)
        assert all(each.reason == "died" for each in results)
        with pytest.raises(CodecUnavailable, match="Not asked so soon"):
            built.encode("fine")


def test_many_poisonous_items_are_bounded():
    """Of many poisonous items among good ones, no more than 16 are tried; the rest of that request is unavailable."""
    with codec("die") as built:
        results = built.encode_many(["poison", "fine"] * 20)
        assert results[1:32:2] == [(b'"fine"', 7)] * 15 + [results[31]]
        assert all(isinstance(each, CodecUnavailable) for each in results[0::2])
        assert all(isinstance(each, CodecUnavailable) for each in results[32:])


def test_program_that_was_killed_meanwhile_is_started_again():
    """A program that ended between two questions is started again, and nobody notices."""
    with codec() as built:
        built.encode(1)
        first = child_of(built)
        os.kill(first, signal.SIGKILL)
        assert gone(first)
        assert built.encode(2) == (b"2", 7)
        assert child_of(built) != first


def test_program_that_dies_once_is_asked_again(tmp_path):
    """A program that dies at its first request and not again gives answers for all items."""
    with codec("once", str(tmp_path / "died")) as built:
        assert built.encode_many([1, 2]) == [(b"1", 7), (b"2", 7)]
        assert (tmp_path / "died").exists()


@pytest.mark.parametrize("mode", ["closes-stdin", "early"])
def test_program_that_does_not_read_is_named(mode, monkeypatch):
    """A program that closes its input, or replies before it has read the request, is named and ended."""
    monkeypatch.setattr(_process_child, "_GRACE", 0.1)
    with codec(mode, timeout=5) as built, pytest.raises(CodecUnavailable) as caught:
        built.encode("x" * 3_000_000)
    assert caught.value.reason == {"closes-stdin": "died", "early": "broke the protocol"}[mode]


def test_both_pipes_full_are_no_deadlock():
    """Megabytes pass both ways, with a program that writes before it reads on."""
    text = "x" * 3_000_000
    with codec() as built:
        data, _ = built.encode(text)
        assert built.decode(data, 0) == text
        assert built.decode_many([(data, 0)] * 3) == [text] * 3


def test_words_on_standard_error_do_no_harm():
    """What a program says on its standard error is taken, however much, and forgotten."""
    with codec("idle-flood") as built:
        assert [built.encode(number)[0] for number in range(3)] == [b"0", b"1", b"2"]


def test_process_batches_are_split_by_count_and_size():
    """More items than one request takes, or more bytes, go in several, and come back in their order."""
    with codec(batch=3) as built:
        assert built.decode_many([(b"%d" % number, 0) for number in range(8)]) == list(range(8))
    with codec() as built:
        texts = [chr(97 + number) * 600_000 for number in range(4)]
        assert built.decode_many(built.encode_many(texts)) == texts


def test_values_are_tagged():
    """Values that JSON does not have arrive at the program in their tagged form, and return from it."""
    with codec() as built:
        assert built.encode(b"a") == (b'{"$bytes": "YQ=="}', 7)
        assert built.decode(b'{"$bytes": "YQ=="}', 0) == b"a"
        assert built.decode(b'{"$missing": true}', 0) is MISSING
        bad, good, twice, large = built.decode_many(
            [(b'{"$odd": 1}', 0), (b"{}", 0), (b'{"a": 1, "$int": 2}', 0), (b"%d" % 2**53, 0)]
        )
        assert (bad.reason, good, twice.reason, large) == ("tag", {}, "tag", 2**53)


def test_threads_share_one_program():
    """Many threads that ask for single values at the same time all get their own answers, from one program."""
    with codec() as built:
        wrong = []

        def ask(first):
            numbers = range(first, first + 50)
            found = [(built.encode(number), built.decode(b"-%d" % number, 0)) for number in numbers]
            wrong.extend(set(found) - {((b"%d" % number, 7), -number) for number in numbers})

        threads = [threading.Thread(target=ask, args=(1000 * number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        pid = child_of(built)
        for thread in threads:
            thread.join()
        assert wrong == []
        assert pid is None or child_of(built) == pid


def test_waiting_questions_travel_together():
    """Questions that wait for a busy program travel in one request; each thread gets its own answer."""
    asked = []

    class Slow:
        def __init__(self):
            self.busy, self.let_go = threading.Event(), threading.Event()

        def ask(self, op, items):
            asked.append((op, list(items)))
            self.busy.set()
            assert self.let_go.wait(30)
            return [item.upper() for item in items]

        def close(self): ...

        def abandon(self): ...

    slow = Slow()
    pool = Pool(lambda: slow, 1, 10)
    answers = {}

    def ask(op, name):
        answers[name] = pool.ask(op, [name])

    threads = [threading.Thread(target=ask, args=("encode", b"first"))]
    threads[0].start()
    assert slow.busy.wait(30)
    for number, op in enumerate(["encode", "encode", "decode", "encode"]):
        thread = threading.Thread(target=ask, args=(op, b"item %d" % number))
        thread.start()
        threads.append(thread)
        while len(pool._queue) <= number:
            time.sleep(0.001)
    slow.let_go.set()
    for thread in threads:
        thread.join()
    assert asked == [
        ("encode", [b"first"]),
        ("encode", [b"item 0", b"item 1"]),
        ("decode", [b"item 2"]),
        ("encode", [b"item 3"]),
    ]
    assert answers == {b"first": [b"FIRST"], **{b"item %d" % number: [b"ITEM %d" % number] for number in range(4)}}


def test_interrupted_thread_costs_others_no_answer():
    """If the thread that asks for others is interrupted, what they asked is asked by one of them."""

    class Interrupted:
        def __init__(self):
            self.busy, self.let_go = threading.Event(), threading.Event()

        def ask(self, op, items):
            if not self.let_go.is_set():
                self.busy.set()
                assert self.let_go.wait(30)
                raise KeyboardInterrupt
            return list(items)

        def close(self): ...

        def abandon(self): ...

    partner = Interrupted()
    pool = Pool(lambda: partner, 1, 10)
    results = []

    def ask(item):
        try:
            results.append(pool.ask("encode", [item]))
        except KeyboardInterrupt:
            results.append("interrupted")

    first = threading.Thread(target=ask, args=(b"1",))
    first.start()
    assert partner.busy.wait(30)
    second = threading.Thread(target=ask, args=(b"2",))
    second.start()
    while not pool._queue:
        time.sleep(0.001)
    partner.let_go.set()
    first.join()
    second.join()
    assert sorted(results, key=str) == [[b"2"], "interrupted"]
    assert not pool._queue


def test_interrupted_question_leaves_no_answer_behind(monkeypatch):
    """After a question that was interrupted, the next one gets its own answer, from a new program."""
    with codec() as built:
        built.encode(1)
        pid = child_of(built)

        def interrupted(*arguments, **more):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("shadowmig.wire.codecs._process_child.answers", interrupted)
            with pytest.raises(KeyboardInterrupt):
                built.encode(2)
        assert gone(pid)
        assert built.encode(3) == (b"3", 7)


def test_closing_waits_for_answers():
    """Closing waits for what is being asked, and what still waits in the queue is unavailable."""

    class Slow:
        closed = False

        def __init__(self):
            self.busy, self.let_go = threading.Event(), threading.Event()

        def ask(self, op, items):
            self.busy.set()
            assert self.let_go.wait(30)
            assert not self.closed
            return list(items)

        def close(self):
            self.closed = True

        def abandon(self): ...

    slow = Slow()
    pool = Pool(lambda: slow, 1, 10)
    results = []

    def ask(item):
        try:
            results.append(pool.ask("encode", [item]))
        except CodecUnavailable as error:
            results.append(error.reason)

    asking = threading.Thread(target=ask, args=(b"1",))
    asking.start()
    assert slow.busy.wait(30)
    waiting = threading.Thread(target=ask, args=(b"2",))
    waiting.start()
    while not pool._queue:
        time.sleep(0.001)
    closing = threading.Thread(target=pool.close)
    closing.start()
    waiting.join()
    assert results == ["closed"]
    slow.let_go.set()
    asking.join()
    closing.join()
    assert results == ["closed", [b"1"]]
    assert slow.closed


# Newer Pythons warn of a fork beside threads, which is what is tested.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_starts_its_own():
    """A forked child has a program of its own, and the parent's goes on."""
    with codec() as built:
        built.encode(1)
        pid = child_of(built)
        child = os.fork()
        if child == 0:
            good = child_of(built) is None and built.encode(2) == (b"2", 7) and child_of(built) != pid
            built.close()
            os._exit(0 if good else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert built.encode(3) == (b"3", 7)
        assert child_of(built) == pid


# Newer Pythons warn of a fork beside threads, which is what is tested.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_a_thread_asks_does_no_harm():
    """A child that is forked while another thread asks can ask at once."""
    with codec("hang", timeout=30.0) as built:
        built.encode(1)
        thread = threading.Thread(target=built.encode_many, args=(["poison"],))
        thread.start()
        while not built._pool._seats[0].partner._asking:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            os._exit(0 if built.encode(2) == (b"2", 7) else 1)
        assert os.waitpid(child, 0)[1] == 0
        end(built, thread)
        assert built.encode(3) == (b"3", 7)


def test_forgotten_codec_ends_its_program():
    """A codec that is forgotten without being closed ends its program, without a warning."""
    built = codec()
    built.encode(1)
    pid = child_of(built)
    del built
    gc.collect()
    assert gone(pid)


OWNER = """
import os, sys, threading, time
from shadowmig.wire.codecs._process_pool import Pool
from shadowmig.wire.codecs.process import ProcessCodec
built = ProcessCodec([sys.executable, "-IS", sys.argv[1], sys.argv[2]], timeout=60.0)
built.encode(1)
print(built._pool._seats[0].partner.pid, flush=True)
if sys.argv[3] == "asking":
    threading.Thread(target=built.encode_many, args=(["poison"],), daemon=True).start()
    while not built._pool._seats[0].partner._asking:
        time.sleep(0.001)
if sys.argv[3] == "killed":
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("mode", "way"), [("good", "ends"), ("stubborn", "ends"), ("hang", "asking"), ("good", "killed")]
)
def test_program_ends_with_its_owner(mode, way):
    """The program ends with an interpreter that closes nothing, also in the middle of a question or by SIGKILL."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", OWNER, PROGRAM, mode, way],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as owner:
        pid = int(owner.stdout.readline())
        if way == "killed":
            owner.kill()
        said = owner.communicate(timeout=60)[1]
    assert gone(pid)
    assert said == ""


def test_codec_works_under_gevent():
    """With gevent's patches in place the program is asked, and ended."""
    program = f"""
from gevent import monkey; monkey.patch_all()
import gevent, sys
from shadowmig.wire.codecs._process_pool import Pool
from shadowmig.wire.codecs.process import ProcessCodec
with ProcessCodec({[*PYTHON, "die"]!r}) as built:
    jobs = [gevent.spawn(built.encode, number) for number in range(20)]
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == [(b"%d" % number, 7) for number in range(20)]
    assert "exit status was 3" in str(built.encode_many(["poison"])[0])
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_closed_program_is_not_started_again():
    """Once closed, as at the end of the interpreter, a program is not started again by a thread that still asks."""
    with codec("hang") as built:
        built.encode(1)
        pid = child_of(built)
        partner = built._pool._seats[0].partner
        results = []
        thread = threading.Thread(target=lambda: results.extend(built.encode_many(["poison", "fine"])))
        thread.start()
        while not partner._asking:
            time.sleep(0.001)
        partner.close()
        thread.join()
        assert gone(pid)
        assert child_of(built) is None
        assert [each.reason for each in results] == ["closed", "closed"]


def test_environment_and_folder_are_given(tmp_path):
    """The program runs in the folder and with the environment it is given, or else with this process's own."""
    script = tmp_path / "codec"
    script.write_text(
        f"#!{sys.executable}\n"
        "import base64, json, os, sys\n"
        "print('{\"protocol\": 1}', flush=True)\n"
        "for line in sys.stdin:\n"
        "    said = base64.b64encode((os.getcwd() + os.environ.get('WORD', '')).encode()).decode()\n"
        "    print(json.dumps({'id': json.loads(line)['id'], 'items': [{'data': said}]}), flush=True)\n"
    )
    script.chmod(0o755)
    with ProcessCodec(["./codec"], cwd=tmp_path, env={"WORD": "!"}, flags=3) as built:
        assert built.encode(1) == (f"{tmp_path}!".encode(), 3)
    with ProcessCodec(["codec"], env={"PATH": str(tmp_path)}) as built:
        assert built.encode(1) == (os.getcwd().encode(), 0)  # noqa: PTH109 - it is what the program says


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("command", {"command": []}),
        ("command", {"command": "cat"}),
        ("command", {"command": ["no-such-program-here"]}),
        ("command", {"command": ["./no-such-program-here"]}),
        ("command", {"command": ["/"]}),
        ("command", {"command": [PROGRAM]}),
        ("command", {"command": ["cat", 1]}),
        ("command", {"command": ["cat", "a\0b"]}),
        ("command", {"command": ["cat", "\ud800"]}),
        ("command", {"command": {"cat": 1}}),
        ("command", {"command": 5}),
        ("cwd", {"cwd": "/no/such/folder"}),
        ("cwd", {"cwd": 5}),
        ("cwd", {"cwd": "a\0b"}),
        ("env", {"env": {"A": 1}}),
        ("env", {"env": {"A=B": "C"}}),
        ("env", {"env": {"": "C"}}),
        ("env", {"env": {"A": "b\0c"}}),
        ("env", {"env": {"A": "\ud800"}}),
        ("env", {"env": [("A", "B")]}),
        ("timeout", {"timeout": 0}),
        ("timeout", {"timeout": "1"}),
        ("batch", {"batch": 0}),
        ("batch", {"batch": True}),
        ("processes", {"processes": 0}),
        ("max_reply", {"max_reply": 0}),
        ("flags", {"flags": 2**32}),
    ],
)
def test_wrong_option_of_process_is_refused(field, options):
    """A wrong option, or a program that is not there, is refused when the codec is built."""
    with pytest.raises(ConfigError) as caught:
        ProcessCodec(**{"command": ["cat"], **options})
    assert caught.value.field == field


def test_arguments_are_not_shown():
    """The arguments of a program, which may be secret, are neither in `repr` nor in errors."""
    with codec("exit", "--token=secret") as built:
        assert repr(built) == f"ProcessCodec([{sys.executable!r}, ...])"
        assert "secret" not in str(built.encode_many([1])[0])
    assert repr(ProcessCodec(["cat"])) == "ProcessCodec(['cat'])"
    with pytest.raises(ConfigError) as caught:
        ProcessCodec(["cat", "--token=secret", None])
    assert "secret" not in str(caught.value)


def test_several_programs_answer_at_the_same_time():
    """With two programs, one thread's question does not wait for another's that hangs."""
    with codec("hang", processes=2, timeout=30.0) as built:
        hanging = threading.Thread(target=built.encode_many, args=(["poison"],))
        hanging.start()
        while not any(seat.partner._asking for seat in built._pool._seats):
            time.sleep(0.001)
        assert built.encode("fine") == (b'"fine"', 7)
        assert hanging.is_alive()
        end(built, hanging)
