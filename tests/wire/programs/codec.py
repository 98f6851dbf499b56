"""
A codec of JSON that misbehaves: from its start, or when it meets an item that holds the word poison.

Used by the tests as ``python codec.py MODE``; the mode ``good`` does as it should.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MODE = sys.argv[1] if len(sys.argv) > 1 else "good"
MEGABYTE = "x" * 1024 * 1024


def say(text, end="\n"):
    sys.stdout.write(text + end)
    sys.stdout.flush()


def hang():
    while True:
        time.sleep(60)


def flood(stream, end):
    while True:
        stream.write(MEGABYTE + end)


def answer(request):
    items = []
    for item in request["items"]:
        if request["op"] == "encode":
            text = json.dumps(item["value"])
            items.append({"data": base64.b64encode(text.encode()).decode(), "flags": 7})
            continue
        try:
            items.append({"value": json.loads(base64.b64decode(item["data"]))})
        except ValueError:
            items.append({"error": "no JSON", "reason": "ValueError"})
    return {"id": request["id"], "items": items}


def drip(text):
    for letter in text:
        say(letter, end="")
        time.sleep(0.05)


def die(status):
    sys.stderr.write("first line\nthe very \x1b[31mlast words\n")
    sys.stderr.flush()
    os._exit(status)


POISONED = {
    "hang": lambda reply: hang(),
    "die": lambda reply: die(3),
    "kill": lambda reply: os.kill(os.getpid(), signal.SIGKILL),
    "flood": lambda reply: flood(sys.stdout, "\n"),
    "endless": lambda reply: flood(sys.stdout, ""),
    "flood-stderr": lambda reply: flood(sys.stderr, "\n"),
    "drip": lambda reply: drip(json.dumps(reply)),
    "fewer": lambda reply: say(json.dumps({**reply, "items": reply["items"][1:]})),
    "more": lambda reply: say(json.dumps({**reply, "items": reply["items"] * 2})),
    "wrong-id": lambda reply: say(json.dumps({**reply, "id": reply["id"] + 1})),
    "text-id": lambda reply: say(json.dumps({**reply, "id": str(reply["id"])})),
    "no-json": lambda reply: say("oops {"),
    "no-utf8": lambda reply: os.write(1, b"\xff\xfe\n"),
    "no-object": lambda reply: say("[]"),
    "no-items": lambda reply: say(json.dumps({"id": reply["id"]})),
    "deep": lambda reply: say("[" * 100_000),
    "no-base64": lambda reply: say(json.dumps({**reply, "items": [{"data": "%%%"} for _ in reply["items"]]})),
    "no-flags": lambda reply: say(json.dumps({**reply, "items": [{"data": "", "flags": -1} for _ in reply["items"]]})),
    "no-answer": lambda reply: say(json.dumps({**reply, "items": [{} for _ in reply["items"]]})),
    "no-reason": lambda reply: say(json.dumps({**reply, "items": [{"error": "", "reason": 1}] * len(reply["items"])})),
    "two-lines": lambda reply: os.write(1, (json.dumps(reply) + "\n" + json.dumps(reply) + "\n").encode()),
}

if MODE == "exit":
    die(4)
if MODE == "silent":
    hang()
if MODE == "chatty":
    say("listening on port 80")
if MODE == "newer":
    say('{"protocol": 2}')
    hang()
if MODE == "old":
    say('{"hello": "world"}')
    hang()
if MODE == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
say('{"protocol": 1}')
if MODE == "parent":
    nested = subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(600)"])
    sys.stderr.write(f"started {nested.pid}\n")
if MODE == "closes-stdin":
    os.close(0)
    hang()
if MODE == "early":
    # A reply to what it has not read.
    os.read(0, 10)
    say('{"id": 1, "items": []}')
    hang()
if MODE == "idle-flood":
    sys.stderr.write(MEGABYTE)
for line in sys.stdin:
    question = json.loads(line)
    reply = answer(question)
    if MODE == "once" and not Path(sys.argv[2]).exists():
        Path(sys.argv[2]).touch()
        die(5)
    poison = base64.b64encode(b'"poison"').decode()
    if MODE in POISONED and (poison in line or "poison" in line):
        POISONED[MODE](reply)
        continue
    say(json.dumps(reply))
if MODE in ("stubborn", "parent"):
    hang()
