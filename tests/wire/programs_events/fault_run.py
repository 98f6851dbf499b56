"""
Plants faults in a stream of events under many writers and says what the verifiers found.

    python fault_run.py --events 200000 --verifiers 3 --kills 20

Starts two Redis servers. Threads write events to production, and to the sister as a candidate with defects would;
verifier processes match them, some of them killed by SIGKILL meanwhile. What should be found is worked out anew from
the two streams as they are at the end. Prints one line of JSON; exit code 0 if all was found, once, and nothing else.
"""

import argparse
import heapq
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import redis
from verify import stream

from shadowmig.testing.servers import Redis

KEY = "comment_events"
FAULTS = ("lost", "doubled", "reordered", "late", "id changed", "old body", "extra field", "unreadable", "type changed")
NAMES = {
    "lost": {"missing"},
    "doubled": {"doubled"},
    "reordered": {"out of order"},
    "late": {"late"},
    "id changed": {"missing", "unexpected"},
    "old body": {"different"},
    "extra field": {"different"},
    "unreadable": {"undecodable"},
    "type changed": {"different"},
}
BATCH = 25


class Writer(threading.Thread):
    """Writes events about entities of its own to production, and then, with defects, to the sister."""

    def __init__(self, number, urls, options):
        super().__init__()
        self.number = number
        self.clients = [redis.Redis.from_url(url) for url in urls]
        self.options = options
        self.random = random.Random(number)
        self.versions = Counter()
        self.planted = {}
        self.delayed = []
        self.last = f"{number}-0"
        self.failed = None

    def run(self):
        try:
            share = self.options.events // self.options.writers
            for begin in range(0, share, BATCH):
                self.write([self.event(number) for number in range(begin, min(begin + BATCH, share))])
                if self.options.pause:
                    time.sleep(self.options.pause)
            while self.delayed:
                time.sleep(0.02)
                self.send_delayed()
        except Exception as error:
            self.failed = error
        finally:
            for client in self.clients:
                client.close()

    def event(self, number):
        fault = self.random.choice(FAULTS) if self.random.random() < self.options.rate else ""
        # Nothing else happens to the entity of a late event, which would else be out of order too.
        entity = f"late {self.number}-{number}" if fault == "late" else f"{self.number}-{self.random.randrange(50)}"
        if fault == "reordered":
            entity = self.last
        elif not fault:
            self.last = entity
        self.versions[entity] += 1
        event = {
            "event_id": f"e{self.number}-{number}",
            "comment_id": entity,
            "version": self.versions[entity],
            "type": "comment.updated",
            "body": "What a fine day é <&> " * self.random.randrange(3),
            "emitted_at": time.time(),
        }
        return fault, event

    def write(self, events):
        # The candidate writes other bytes: with spaces, and its own time.
        with self.clients[0].pipeline(transaction=False) as pipe:
            for _, event in events:
                pipe.xadd(KEY, {"event_id": event["event_id"], "body": json.dumps(event, separators=(",", ":"))})
            pipe.execute()
        rows = []
        for fault, event in events:
            if fault == "reordered":
                overtaken = self.overtake(rows, event)
                if overtaken:
                    self.planted[overtaken] = fault
                continue
            if fault:
                self.planted[event["event_id"]] = fault
            if fault == "late":
                heapq.heappush(self.delayed, (time.monotonic() + self.options.late * 1.5, event["event_id"], event))
            else:
                rows += self.candidate(fault, event)
        with self.clients[1].pipeline(transaction=False) as pipe:
            for name, body in rows:
                pipe.xadd(KEY, {"event_id": name, "body": body})
            pipe.execute()
        self.send_delayed()

    def overtake(self, rows, event):
        """Put an event before the last one of its entity in this batch, if that has no fault; gives the id of that."""
        own = self.candidate("", event)
        for index in range(len(rows) - 1, -1, -1):
            name, body = rows[index]
            if f'"comment_id": "{event["comment_id"]}"'.encode() in body and name not in self.planted:
                rows[index:index] = own
                return name
        rows += own
        return None

    def candidate(self, fault, event):
        event = dict(event, emitted_at=time.time())
        name = event["event_id"]
        if fault == "lost":
            return []
        if fault == "id changed":
            name = event["event_id"] = f"x{name}"
        elif fault == "old body":
            event |= {"version": event["version"] - 1, "body": "old"}
        elif fault == "extra field":
            event["trace"] = None
        elif fault == "type changed":
            event["version"] = str(event["version"])
        body = json.dumps(event).encode("utf-16" if fault == "unreadable" else "utf-8")
        return [(name, body)] * (2 if fault == "doubled" else 1)

    def send_delayed(self):
        while self.delayed and self.delayed[0][0] <= time.monotonic():
            _, name, event = heapq.heappop(self.delayed)
            self.clients[1].xadd(KEY, {"event_id": name, "body": json.dumps(event)})


def rows_of(url):
    """Read a stream: time, id and bytes of each entry."""
    with redis.Redis.from_url(url) as client:
        rows = client.xrange(KEY)
    return [(int(entry.split(b"-")[0]), row[b"event_id"].decode(), row[b"body"]) for entry, row in rows]


def content(ours, data):
    """Say what is wrong with the sister's bytes, given production's value."""
    try:
        theirs = json.loads(data.decode("utf-8"))
    except ValueError:
        return "undecodable"
    return "different" if theirs | {"emitted_at": 0} != ours | {"emitted_at": 0} else ""


def expected(urls, options):
    """Work out from both streams, without any of the code under test, what is to be found: (verdict, id), how often."""
    first, found, streams = [{}, {}], Counter(), [rows_of(url) for url in urls]
    for side, rows in enumerate(streams):
        for place, (at, name, data) in enumerate(rows):
            if name in first[side]:
                found["doubled", name] += 1
            else:
                first[side][name] = place, at, data
    highest = Counter()
    for name in sorted(first[1], key=lambda name: first[1][name][0]):
        if name not in first[0]:
            found["unexpected", name] += 1
            continue
        (_, at, data), (_, later, other) = first[0][name], first[1][name]
        ours = json.loads(data)
        if wrong := content(ours, other):
            found[wrong, name] += 1
        if (later - at) / 1000 > options.late:
            found["late", name] += 1
        if ours["version"] < highest[ours["comment_id"]]:
            found["out of order", name] += 1
        highest[ours["comment_id"]] = max(ours["version"], highest[ours["comment_id"]])
    for name in first[0].keys() - first[1].keys():
        found["missing", name] += 1
    return found, len(first[0]), len(streams[1])


def verifier(urls, given):
    program = Path(__file__).with_name("verify.py")
    return subprocess.Popen(
        [sys.executable, str(program), *urls, json.dumps(given)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def kill_some(urls, given, processes, options, stop):
    """Kill one verifier after another, and start another in its place."""
    kills = 0
    chance = random.Random(7)
    while kills < options.kills and not stop.is_set():
        if stop.wait(chance.uniform(0.2, 1.0) * options.between):
            break
        index = chance.randrange(len(processes))
        victim = processes[index]
        victim.kill()
        victim.wait()
        victim.stdin.close()
        victim.stdout.close()
        kills += 1
        processes[index] = verifier(urls, given)
    return kills


def all_faults(watching):
    faults = []
    while page := watching.faults(faults[-1].cursor if faults else ""):
        faults += page
    return faults


def wait_for_all(watching, written, options):
    end = time.monotonic() + options.patience
    while time.monotonic() < end:
        report = watching.report()
        if report.production == written and not report.open and not report.waiting and report.as_of is not None:
            return report
        if options.verbose:
            print(f"{report}, lag {report.lag.p99}", file=sys.stderr, flush=True)
        time.sleep(0.5)
    return watching.report()


def read_options():
    parser = argparse.ArgumentParser()
    for name, kind, value in (
        ("events", int, 5000),
        ("writers", int, 8),
        ("verifiers", int, 2),
        ("kills", int, 0),
        ("between", float, 1.0),
        ("rate", float, 0.02),
        ("late", float, 1.5),
        ("grace", float, 6.0),
        ("pause", float, 0.0),
        ("patience", float, 120.0),
    ):
        parser.add_argument(f"--{name}", type=kind, default=value)
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def play(urls, options):
    """Write, verify and kill; give the writers, the number of kills, what is expected, the report and the faults."""
    given = {"grace": options.grace, "late": options.late}
    processes = [verifier(urls, given) for _ in range(options.verifiers)]
    writers = [Writer(number, urls, options) for number in range(options.writers)]
    stop, kills = threading.Event(), []
    killer = threading.Thread(target=lambda: kills.append(kill_some(urls, given, processes, options, stop)))
    killer.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    killer.join()
    wanted, written, entries = expected(urls, options)
    watching = stream(*urls, given)
    report = wait_for_all(watching, written, options)
    faults = all_faults(watching)
    watching.close()
    for process in processes:
        process.communicate()
    return writers, sum(kills), (wanted, written, entries), report, faults


def judge(writers, expectation, report, faults):
    """Say what was found and what was not."""
    wanted, written, entries = expectation
    # A missing event that came later was told twice, once as missing and once as late: that is as it should be.
    back = {fault.id for fault in faults if "taken back" in fault.note}
    told = [(fault.verdict.value, fault.id) for fault in faults]
    found = Counter(each for each in told if not (each[1] in back and each[0] in ("missing", "unexpected")))
    planted = {name: fault for writer in writers for name, fault in writer.planted.items()}
    names = {}
    for verdict, name in found:
        names.setdefault(name.removeprefix("x"), set()).add(verdict)
    counts = Counter({verdict.value: count for verdict, count in report.verdicts.items()})
    counts.update({verdict.value: count for verdict, count in report.beside.items()})
    wrong = +Counter({name: count for name, count in counts.items() if name not in ("match", "ignored")})
    return {
        "events": written,
        "entries": entries,
        "planted": Counter(planted.values()),
        "not found": Counter(fault for name, fault in planted.items() if not NAMES[fault] <= names.get(name, set())),
        "not as expected": sorted(map(str, wanted - found))[:20],
        "false or repeated": sorted(map(str, found - wanted))[:20],
        "counts": +counts,
        "counts agree": wrong == Counter(verdict for verdict, _ in wanted.elements())
        and (report.production, report.sister, report.open) == (written, entries, 0),
        "failed": [str(writer.failed) for writer in writers if writer.failed],
        "lag": [report.lag.p50, report.lag.p99, report.lag.max],
    }


def main():
    options = read_options()
    begun = time.monotonic()
    with Redis() as one, Redis() as two:
        writers, kills, expectation, report, faults = play((one.url, two.url), options)
    result = judge(writers, expectation, report, faults)
    result |= {"kills": kills, "seconds": round(time.monotonic() - begun, 1)}
    print(json.dumps(result))
    bad = result["not found"] or result["not as expected"] or result["false or repeated"] or result["failed"]
    return 0 if result["counts agree"] and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
