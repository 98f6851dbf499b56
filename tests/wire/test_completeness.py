"""The pure heart of the check of completeness, against histories whose faults are known."""

from collections import Counter
from operator import itemgetter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadowmig.wire.events.completeness import _book, _shelf
from shadowmig.wire.events.completeness._book import Book, FaultKind
from shadowmig.wire.events.completeness._ledger import Ledger
from shadowmig.wire.events.completeness._weak import WeakLedger

GRACE = 10.0
SHORTAGE = (FaultKind.MISSING, FaultKind.SKIPPED)


def ledger(**options):
    given_options = {"grace": GRACE, "first": 1, "step": 1, "deletes": True, "scanned": True, "began": 0.0}
    return Ledger(Book(), **(given_options | options))


def weak(**options):
    return WeakLedger(Book(), **({"grace": GRACE, "deletes": True, "scanned": True, "began": 100.0} | options))


class World:
    """A table and a stream whose looks and readings are made by hand."""

    def __init__(self, under_test):
        self.ledger = under_test
        self.rows = {}
        self.changed = set()
        self.sent = []
        self.now = 100.0

    def base(self, rows):
        self.rows |= rows
        self.ledger.base(rows)

    def put(self, name, version):
        self.rows[name] = version
        self.changed.add(name)

    def remove(self, name):
        del self.rows[name]
        self.changed.discard(name)

    def send(self, name, version, *, deleted=False, early=False):
        self.sent.append((name, version, deleted, early))

    def read(self):
        for name, version, deleted, early in self.sent:
            self.ledger.event(name, version, deleted, self.now, early=early)
        self.sent.clear()
        self.ledger.read(self.now)

    def look(self, *, sweep=True):
        for name in sorted(self.changed):
            self.ledger.row(name, self.rows[name], self.now)
        self.changed.clear()
        for name in [*self.ledger.wanted(self.now), *(self.ledger.alive() if sweep else ())]:
            self.ledger.row(name, self.rows.get(name), self.now)
        self.ledger.looked(self.now)

    def both(self, seconds=1.0):
        self.now += seconds
        self.read()
        self.look()

    def settle(self):
        for _ in range(16):
            self.both(2.5)

    def faults(self):
        return [(told.kind, told.entity, told.version) for told in self.ledger.book.standing.values()]


@pytest.fixture
def world():
    return World(ledger())


def test_a_change_and_its_event_are_one(world):
    """A change whose event comes within the grace is matched, whichever is seen first."""
    world.put("1", 1)
    world.both()
    world.send("1", 1)
    world.send("2", 1)
    world.both()
    world.put("2", 1)
    world.both()
    assert world.faults() == []
    assert world.ledger.book.matched == 2
    assert world.ledger.undecided()[0] == 0


def test_a_lost_event_is_told_within_the_grace(world):
    """A row seen at a version that no event told of is missing one, as soon as the grace is over and not before."""
    world.put("1", 1)
    world.both()
    world.both(GRACE - 1)
    assert world.faults() == []
    world.both(1)
    assert world.faults() == [(FaultKind.MISSING, "1", 1)]


def test_a_version_that_no_look_saw_is_required(world):
    """A row that went on by two versions between two looks needs two events."""
    world.ledger.base({"1": 4})
    world.put("1", 6)
    world.send("1", 6)
    world.settle()
    assert world.faults() == [(FaultKind.SKIPPED, "1", 5)]
    assert (world.ledger.book.matched, world.ledger.book.missing) == (1, 1)


def test_an_event_without_a_change_is_told(world):
    """An event of a version that the row never reaches is told, though the row be there or not."""
    world.base({"1": 4})
    world.send("1", 5)
    world.send("2", 1)
    world.settle()
    assert sorted(world.faults(), key=str) == [(FaultKind.EXTRA, "1", 5), (FaultKind.EXTRA, "2", 1)]


def test_a_second_event_is_told(world):
    """A second event of one change is doubled, and a third one too."""
    world.put("1", 1)
    for _ in range(3):
        world.send("1", 1)
    world.settle()
    assert world.faults() == [(FaultKind.DOUBLED, "1", 1)] * 2


def test_a_late_event_takes_its_fault_back(world):
    """An event that comes after it was told as missing makes the change whole, and is counted as late."""
    world.put("1", 1)
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "1", 1)]
    world.send("1", 1)
    world.both()
    assert world.faults() == []
    assert (world.ledger.book.matched, world.ledger.book.late) == (1, 1)
    assert [told.kind for told in world.ledger.book.back] == [FaultKind.MISSING]


def test_a_late_commit_takes_its_fault_back(world):
    """A change that is committed after its event was told as one without a change makes both whole."""
    world.send("1", 1)
    world.settle()
    assert world.faults() == [(FaultKind.EXTRA, "1", 1)]
    world.put("1", 1)
    world.both()
    assert world.faults() == []
    assert (world.ledger.book.matched, world.ledger.book.late) == (1, 1)


def test_a_deletion_needs_its_event(world):
    """A row that is gone is a change, with the event that says so or else a missing one."""
    world.ledger.base({"1": 4, "2": 4})
    world.put("1", 4)
    world.put("2", 4)
    world.both()
    world.remove("1")
    world.remove("2")
    world.send("1", 5, deleted=True)
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "2", 5)]
    assert world.ledger.book.matched == 1


@pytest.mark.parametrize(("version", "more"), [(5, []), (6, [(FaultKind.SKIPPED, "1", 5)])])
def test_a_late_event_of_a_deletion(world, version, more):
    """A deletion told as missing is taken back by its event, which may show that there was one more change."""
    world.ledger.base({"1": 4})
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "1", 5)]
    world.send("1", version, deleted=True)
    world.settle()
    assert world.faults() == more
    assert world.ledger.book.late == 1


def test_a_deletion_that_was_rolled_back(world):
    """The event of a deletion is one without a change if the row stays."""
    world.ledger.base({"1": 4})
    world.put("1", 4)
    world.send("1", 5, deleted=True)
    world.settle()
    assert world.faults() == [(FaultKind.EXTRA, "1", 5)]
    world.put("1", 5)
    world.send("1", 5)
    world.settle()
    assert len(world.faults()) == 1


def test_a_key_is_used_again(world):
    """A row that was deleted and created anew has two lives, each with all its events."""
    world.ledger.base({"1": 3})
    world.put("1", 1)
    world.send("1", 4, deleted=True)
    world.send("1", 1)
    world.settle()
    assert world.faults() == []
    assert world.ledger.book.matched == 2
    world.put("1", 2)
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "1", 2)]


def test_a_key_is_used_again_and_again():
    """A life that is seen before its event may take that of another one, so what lacks is waited for once more."""
    world = World(ledger(grace=5.0))
    told = world.ledger
    told.event("1", 1, False, 139.89)
    told.row("1", 1, 139.91)
    for at, version, deleted in (
        *((141.92, 2, True), (141.92, 1, False), (142.96, 2, False), (143.25, 3, False), (145.53, 4, True)),
        *((145.53, 1, False), (146.49, 2, True), (146.49, 1, False), (146.84, 2, False), (147.08, 3, False)),
    ):
        told.event("1", version, deleted, at)
    told.row("1", 3, 147.11)
    told.row("1", 3, 150.85)
    told.event("1", 4, False, 151.11)
    told.event("1", 5, True, 151.71)
    told.row("1", 1, 151.78)
    told.row("1", 1, 151.79)
    told.event("1", 1, False, 152.02)
    world.now, world.rows = 152.1, {"1": 1}
    world.settle()
    assert world.faults() == []
    assert (told.book.matched, told.undecided()[0]) == (14, 0)


def test_the_event_of_a_new_life_is_lost(world):
    """A key that is used again without any event shows by its lower version: deletion and creation are missing."""
    world.ledger.base({"1": 3})
    world.put("1", 1)
    world.settle()
    assert sorted(world.faults(), key=str) == [(FaultKind.MISSING, "1", 1), (FaultKind.MISSING, "1", 4)]


def test_a_life_between_two_looks(world):
    """A row that was created and deleted before it was ever seen is known by its events."""
    for version in (1, 2):
        world.send("1", version)
    world.send("1", 3, deleted=True)
    world.send("2", 1)
    world.send("2", 3, deleted=True)
    world.settle()
    assert world.faults() == [(FaultKind.SKIPPED, "2", 2)]
    assert world.ledger.book.matched == 5


def test_one_event_does_not_make_a_life(world):
    """An event of a deletion alone, about a row nobody saw, is one without a change and no reason to miss others."""
    world.send("1", 3, deleted=True)
    world.settle()
    assert world.faults() == [(FaultKind.EXTRA, "1", 3)]


def test_a_second_event_of_a_deletion(world):
    """A second event of a deletion is doubled, even after the entity was settled."""
    world.put("1", 1)
    world.send("1", 1)
    world.both()
    world.remove("1")
    world.send("1", 2, deleted=True)
    world.settle()
    world.send("1", 2, deleted=True)
    world.settle()
    world.send("1", 1)
    world.settle()
    assert world.faults() == [(FaultKind.DOUBLED, "1", 2), (FaultKind.DOUBLED, "1", 1)]


def test_some_events_of_a_life_come_again(world):
    """If few events of a life come a second time, that of its deletion among them, each of them is doubled."""
    for version in (1, 2, 3, 4):
        world.send("1", version)
    world.send("1", 5, deleted=True)
    world.settle()
    world.send("1", 1)
    world.send("1", 5, deleted=True)
    world.settle()
    world.settle()
    assert sorted(world.faults(), key=str) == [(FaultKind.DOUBLED, "1", 1), (FaultKind.DOUBLED, "1", 5)]
    assert (world.ledger.book.matched, world.ledger.undecided()[0]) == (5, 0)


def test_a_replica_that_lags(world):
    """A row that is seen older than it was, or again after its end, or gone for a moment, is no fault."""
    world.ledger.base({"1": 4, "2": 4, "3": 4})
    world.send("2", 5, deleted=True)
    world.now += 1
    world.read()
    for name, version in (("1", 3), ("2", None), ("3", None)):
        world.ledger.row(name, version, world.now)
    world.ledger.row("2", 4, world.now + 1)
    world.rows = {"1": 4, "3": 4}
    world.settle()
    assert world.faults() == []


def test_a_row_that_was_not_gone(world):
    """A row that is there again as it was, after its end was told, was there all the time."""
    world.ledger.base({"1": 4})
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "1", 5)]
    world.put("1", 4)
    world.settle()
    assert world.faults() == []
    assert world.ledger.book.matched == 0


def test_versions_that_go_on(world):
    """A key that is used again may go on with its versions, where the first event of the new life says so."""
    world.ledger.base({"1": 3})
    world.put("1", 5)
    world.send("1", 4, deleted=True)
    world.send("1", 5)
    world.settle()
    world.remove("1")
    world.send("1", 6, deleted=True)
    world.settle()
    world.put("1", 7)
    world.send("1", 7)
    world.settle()
    assert world.faults() == []
    assert world.ledger.book.matched == 4


def test_nothing_is_judged_while_events_cannot_be_read(world):
    """However long events are not read, nothing is missing before they are."""
    world.ledger.base({"2": 4})
    world.put("1", 1)
    for _ in range(10):
        world.now += GRACE
        world.look()
    assert world.faults() == []
    world.send("1", 1)
    world.send("2", 5, deleted=True)
    world.settle()
    assert world.faults() == []


def test_nothing_is_judged_while_rows_cannot_be_read(world):
    """However long rows are not looked at, no event is without its change before they are."""
    world.send("1", 1)
    for _ in range(10):
        world.now += GRACE
        world.read()
    world.put("1", 1)
    world.settle()
    assert world.faults() == []


def test_everything_up_to_the_watermark_is_decided(world):
    """The watermark is a look that lies the grace back on both sides, and never later than what is open."""
    horizon = world.ledger.horizon
    assert horizon.decided() == 0.0
    for moment in range(1, 31):
        world.ledger.looked(float(moment))
    assert horizon.decided() == 0.0
    for moment in range(1, 26):
        world.ledger.read(float(moment))
    assert horizon.decided() == 15.0
    assert horizon.decided(20.0) == 15.0


def test_versions_by_steps():
    """Versions that go up by more than one are required by that step."""
    world = World(ledger(first=10, step=10))
    world.put("1", 40)
    world.send("1", 10)
    world.send("1", 40)
    world.send("1", 5)
    world.settle()
    assert world.faults() == [(FaultKind.SKIPPED, "1", 20), (FaultKind.SKIPPED, "1", 30)]
    assert world.ledger.book.unexplained == 1


def test_a_version_that_jumps(world):
    """A row that jumps by more versions than can be changes is told by its last two, in bounded time."""
    world.ledger.base({"1": 4})
    world.put("1", 10**15)
    world.settle()
    assert world.faults() == [(FaultKind.SKIPPED, "1", 10**15 - 1), (FaultKind.MISSING, "1", 10**15)]


def test_a_base_of_what_is_seen_first():
    """Without a scan a row is known from its first change on, and earlier events about it prove nothing."""
    world = World(ledger(scanned=False))
    world.put("1", 7)
    world.send("1", 7)
    world.put("2", 7)
    world.send("3", 5)
    world.ledger.row("4", 3, world.now, fresh=False)
    world.both()
    world.send("1", 6)
    world.put("3", 7)
    world.rows["4"] = 3
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "2", 7), (FaultKind.SKIPPED, "3", 6), (FaultKind.MISSING, "3", 7)]
    assert world.ledger.book.earlier == 1


def test_early_events_are_believed_but_never_blamed(world):
    """Events from before the start explain what is seen after it, and are no fault if they explain nothing."""
    world.base({"1": 4, "2": 4, "3": 2})
    for name, version in (("1", 5), ("2", 3), ("9", 7), ("3", 4)):
        world.send(name, version, early=True)
    world.send("2", 5, deleted=True, early=True)
    world.send("8", 6, deleted=True, early=True)
    world.send("8", 5, early=True)
    world.send("3", 5, deleted=True, early=True)
    world.put("1", 5)
    world.remove("2")
    world.settle()
    assert world.faults() == []
    assert (world.ledger.book.matched, world.ledger.book.earlier) == (2, 6)


def test_hydrated_rows_need_no_event(world):
    """What was put into the sister by hydration needs no event, and may go without one; the candidate's changes do."""
    world.ledger.hydrated("1", 7, world.now)
    world.ledger.hydrated("2", 3, world.now)
    world.ledger.hydrated("3", None, world.now)
    world.put("1", 8)
    world.put("2", 3)
    world.both()
    world.send("1", 8)
    world.ledger.hydrated("1", 12, world.now)
    world.put("1", 13)
    world.both()
    world.ledger.hydrated("2", None, world.now)
    world.remove("2")
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "1", 13)]
    assert world.ledger.book.matched == 1


def test_deletions_that_events_do_not_name():
    """Where events do not say that a row was deleted, any higher version does, once the row is gone."""
    world = World(ledger(deletes=False))
    world.ledger.base({"1": 4, "2": 4})
    world.put("1", 4)
    world.put("2", 4)
    world.both()
    world.remove("1")
    world.remove("2")
    for version in (5, 6):
        world.send("1", version)
    for version in (1, 2, 3):
        world.send("3", version)
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "2", 5)]
    assert world.ledger.book.matched == 5
    world.send("2", 5)
    world.settle()
    assert world.faults() == []


def test_what_is_remembered_is_bounded(monkeypatch):
    """Faults told, and entities deleted, are remembered up to a number; beyond it they are counted, and stand."""
    monkeypatch.setattr(_shelf, "MOST_GONE", 3)
    monkeypatch.setattr(_shelf, "KEPT", 3)
    monkeypatch.setattr(_book, "KEPT", 5)
    world = World(ledger())
    world.ledger.base({str(number): 1 for number in range(8)})
    world.settle()
    assert (len(world.faults()), world.ledger.book.missing) == (5, 8)
    assert len(world.ledger.shelf.gone) == 3
    world.send("9", 7)
    world.put("8", 2)
    world.settle()
    for name, version in (("8", 2), ("8", 1), ("9", 7)):
        world.send(name, version)
    world.settle()
    for version in range(1, 6):
        world.send("20", version)
    world.settle()
    assert world.ledger.book.counts[FaultKind.EXTRA] == 6
    assert len(world.ledger.shelf.open) <= 4


def test_a_row_goes_far_while_it_cannot_be_read(world):
    """However far a row went while it could not be read, its events are those of its changes, but a lost one."""
    world.base({"1": 4, "2": 4})
    for version in range(5, 4000):
        world.send("1", version)
        if version != 3998:
            world.send("2", version)
    world.both()
    world.put("1", 3999)
    world.put("2", 3999)
    world.settle()
    assert world.faults() == [(FaultKind.SKIPPED, "2", 3998)]
    assert world.ledger.book.matched == 2 * 3995 - 1


def test_a_row_that_is_never_at_rest(world):
    """The watermark moves on though a row always has changes whose events are still on their way."""
    for version in range(1, 61):
        world.put("1", version)
        if version > 2:
            world.send("1", version - 2)
        world.both()
    assert world.ledger.undecided() == (2, world.now - 1)
    assert world.ledger.decided()[1] == world.now - GRACE


def test_the_watermark_is_before_all_that_is_open(world):
    """What is decided ends with the look before the one that showed what is still open."""
    for _ in range(30):
        world.both()
    world.send("1", 1)
    for _ in range(15):
        world.both()
    assert world.ledger.decided() == (1, 130.0)
    for _ in range(15):
        world.both()
    assert world.ledger.decided() == (0, 150.0)
    assert world.faults() == [(FaultKind.EXTRA, "1", 1)]


def test_a_deletion_that_is_committed_late(world):
    """The event of a deletion that was told as one without a change is taken back once the row is gone."""
    world.base({"1": 4})
    world.put("1", 4)
    world.send("1", 5, deleted=True)
    world.settle()
    assert world.faults() == [(FaultKind.EXTRA, "1", 5)]
    world.remove("1")
    world.settle()
    assert world.faults() == []
    assert (world.ledger.book.matched, world.ledger.book.late) == (1, 1)


def test_a_deletion_that_was_rolled_back_and_an_update(world):
    """The event of a deletion that was rolled back is no event of the update that is made later."""
    world.put("1", 1)
    world.send("1", 1)
    world.settle()
    world.send("1", 2, deleted=True)
    world.settle()
    world.put("1", 2)
    world.settle()
    assert sorted(world.faults(), key=str) == [(FaultKind.EXTRA, "1", 2), (FaultKind.MISSING, "1", 2)]


def test_a_creation_is_told_before_the_deletion(world):
    """The event of a new life may come before that of the deletion, though the row was there at the start."""
    world.base({"1": 4})
    world.put("1", 4)
    world.send("1", 1)
    world.both()
    world.put("1", 1)
    world.both()
    world.send("1", 5, deleted=True)
    world.settle()
    assert world.faults() == []
    assert world.ledger.book.matched == 2


def test_a_new_life_while_the_deletion_is_told_slowly(world):
    """What a new life does just before the event of the last deletion comes has the whole grace for its own event."""
    world.base({"1": 4})
    world.put("1", 1)
    world.send("1", 1)
    world.both()
    world.both(8.0)
    world.put("1", 2)
    world.both(1.5)
    world.send("1", 5, deleted=True)
    for _ in range(5):
        world.both(1.5)
    world.send("1", 2)
    world.settle()
    assert world.faults() == []
    assert len(world.ledger.book.back) == 0


def test_a_row_that_nobody_saw_is_deleted():
    """Without a scan, the deletion of a row that was there at the start is a change with its event."""
    world = World(ledger(scanned=False))
    world.both()
    world.send("1", 8, deleted=True)
    world.settle()
    world.send("2", 4)
    world.send("2", 5, deleted=True)
    world.settle()
    assert world.faults() == []
    assert world.ledger.book.matched == 3
    world.send("1", 8, deleted=True)
    world.settle()
    assert world.faults() == [(FaultKind.DOUBLED, "1", 8)]


def test_events_that_do_not_name_deletions_come_one_by_one():
    """Where events do not name deletions, the last event that comes within the grace is taken for that of one."""
    world = World(ledger(deletes=False))
    world.base({"1": 4})
    world.both()
    world.remove("1")
    world.send("1", 5)
    world.both()
    world.send("1", 6)
    world.settle()
    assert world.faults() == []
    assert world.ledger.book.matched == 2


def test_second_events_of_one_that_had_none(world):
    """Two events of a change that never was are one without a change, and one doubled."""
    world.send("1", 1)
    world.send("1", 1)
    world.settle()
    assert sorted(kind.name for kind, _, _ in world.faults()) == ["DOUBLED", "EXTRA"]


# Against histories.

STEPS = st.sampled_from(["well"] * 12 + ["lost", "doubled", "rolled back"])
CHANGE = st.tuples(STEPS, st.sampled_from([0.01, 0.5, 3.0, 15.0]), st.floats(-3.0, 4.0), st.booleans(), st.booleans())
HISTORY = st.lists(CHANGE, max_size=14)


def plan(history, *, ends, calm=True):
    """Make commits and sendings of one entity, with the faults that are in them."""
    commits, sendings, changes, events, faulty = [], [], Counter(), Counter(), False
    now, version = 5.0, 0
    for drawn, pause, delay, ending, again in history:
        # A key that is used again is used when all is said about its last life.
        now += pause + (3 * GRACE if ends and calm and not version else 0.0)
        new, deleted = version + 1, ends and ending and version > 0
        what = "well" if faulty and ends else drawn  # with lives, faults that explain each other are no faults
        faulty = faulty or what != "well"
        changes[new] += what != "rolled back"
        times = {"well": 1, "lost": 0, "doubled": 2, "rolled back": 1}[what]
        events[new] += times
        sendings += [(now + delay + (2 * GRACE if again and time else 0), new, deleted) for time in range(times)]
        if what == "rolled back":
            now += 2 * GRACE if ends or again else 0.0
            continue
        commits.append((now, None if deleted else new))
        version = 0 if deleted else new
    return commits, sendings, changes, events, faulty


def play(under_test, histories, gaps, *, ends, deletes=True, calm=True):
    """Let histories happen, with looks and readings in between, and settle."""
    world = World(under_test)
    happens, plans = [], {}
    for number, history in enumerate(histories):
        name = str(number)
        commits, sendings, *plans[name] = plan(history, ends=ends, calm=calm)
        happens += [(at, 0, name, version, False) for at, version in commits]
        happens += [(at, 1, name, version, deleted) for at, version, deleted in sendings]
    happens.sort(key=lambda each: each[:2])
    begun, turn = world.now, 0
    while happens:
        gap, reads, looks = gaps[turn % len(gaps)]
        turn += 1
        world.now += gap
        while happens and begun + happens[0][0] < world.now:
            _, kind, name, version, deleted = happens.pop(0)
            if kind:
                world.send(name, version, deleted=deleted and deletes)
            elif version is None:
                world.remove(name)
            else:
                world.put(name, version)
        if reads:
            world.read()
        if looks:
            world.look(sweep=turn % 3 == 0)
    world.settle()
    world.settle()
    return world, plans


GAPS = st.lists(st.tuples(st.floats(0.1, 1.5), st.booleans(), st.booleans()), min_size=5, max_size=5).map(
    lambda gaps: [*gaps, (0.5, True, True)]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HISTORY, min_size=1, max_size=3), GAPS, st.booleans())
def test_faults_are_exactly_those_planted(histories, gaps, deletes):
    """Without deletions, what is told is what a count of changes and events by version says, and nothing is left."""
    world, plans = play(ledger(deletes=deletes), histories, gaps, ends=False, deletes=deletes)
    short, surplus = Counter(), Counter()
    for name, (changes, events, _) in plans.items():
        for version in changes | events:
            short[name, version] = max(0, changes[version] - events[version])
            surplus[name, version] = max(0, events[version] - changes[version])
    told = Counter((entity, version) for kind, entity, version in world.faults() if kind in SHORTAGE)
    assert told == +short
    told = Counter((entity, version) for kind, entity, version in world.faults() if kind not in SHORTAGE)
    if deletes:
        assert told == +surplus
    assert world.ledger.undecided()[0] == 0
    book = world.ledger.book
    assert book.matched + book.missing == sum(sum(changes.values()) for changes, _, _ in plans.values())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HISTORY, min_size=1, max_size=3), GAPS)
def test_faults_of_keys_used_again(histories, gaps):
    """With deletions and keys used again, an entity has faults if and only if one was planted in it."""
    world, plans = play(ledger(), histories, gaps, ends=True)
    assert {entity for _, entity, _ in world.faults()} == {
        name for name, (changes, events, _) in plans.items() if changes != events
    }
    assert world.ledger.undecided()[0] == 0


QUICK = st.tuples(
    st.just("well"), st.sampled_from([0.01, 0.5, 3.0, 15.0]), st.floats(-9.5, 9.5), st.booleans(), st.booleans()
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(QUICK, max_size=25), min_size=1, max_size=2), GAPS)
def test_keys_used_again_at_once_are_no_fault(histories, gaps):
    """However quickly a key is used again, and however its events are mixed, nothing is told if all have come."""
    world, plans = play(ledger(), histories, gaps, ends=True, calm=False)
    assert world.faults() == []
    assert not world.ledger.book.back
    assert world.ledger.book.matched == sum(sum(changes.values()) for changes, _, _ in plans.values())
    assert world.ledger.undecided()[0] == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HISTORY, min_size=1, max_size=3), GAPS)
def test_faults_of_keys_used_again_at_once(histories, gaps):
    """However quickly a key is used again, only an entity in which a fault was planted has faults."""
    world, plans = play(ledger(), histories, gaps, ends=True, calm=False)
    assert {entity for _, entity, _ in world.faults()} <= {
        name for name, (changes, events, _) in plans.items() if changes != events
    }
    assert world.ledger.undecided()[0] == 0


def busy(random):
    """Make commits and sendings of one entity that is deleted and created anew all the time."""
    pauses, delays = [0.01, 0.5, 3.0, 15.0], (-3.0, 4.0)
    history = [
        ("well", random.choice(pauses), random.uniform(*delays), random.random() < 0.4, False) for _ in range(40)
    ]
    return plan(history, ends=True, calm=False)[:2]


@pytest.mark.parametrize("scanned", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_a_check_that_begins_amid_keys_used_again(seed, scanned):
    """A check that begins while keys are deleted and created anew all the time tells no fault."""
    random = Random(seed)
    begin = random.uniform(30.0, 70.0)
    world = World(ledger(scanned=scanned, began=begin))
    happens = []
    for name in "123":
        commits, sendings = busy(random)
        happens += [(at, world.put, (name, version), {}) for at, version in commits if version is not None]
        happens += [(at, world.remove, (name,), {}) for at, version in commits if version is None]
        happens += [
            (at, world.send, (name, version), {"deleted": deleted, "early": at < begin + GRACE})
            for at, version, deleted in sendings
            if at > begin - 2 * GRACE
        ]
    happens.sort(key=itemgetter(0))
    world.now = begin
    while happens:
        while happens and happens[0][0] < world.now:
            _, do, given, options = happens.pop(0)
            do(*given, **options)
        if world.now == begin:
            world.base(world.rows if scanned else {})
            world.changed.clear()
        world.now += random.uniform(0.3, 1.5)
        world.read()
        world.look(sweep=random.random() < 0.3)
    world.settle()
    world.settle()
    assert world.faults() == []
    assert world.ledger.undecided()[0] == 0


# Where versions do not count changes.


@pytest.fixture
def weak_world():
    return World(weak())


def test_weak_states_that_were_seen_are_required(weak_world):
    """Where versions do not count changes, each state that was seen needs an event, and others may have one."""
    world = weak_world
    world.ledger.base({"1": "a"})
    world.put("1", "b")
    world.both()
    world.put("1", "d")
    world.both()
    for version in ("b", "c", "b"):
        world.send("1", version)
    world.settle()
    assert world.faults() == [(FaultKind.DOUBLED, "1", "b"), (FaultKind.MISSING, "1", "d")]
    world.send("1", "d")
    world.send("1", "d")
    world.settle()
    assert world.faults() == [(FaultKind.DOUBLED, "1", "b"), (FaultKind.DOUBLED, "1", "d")]
    assert world.ledger.book.late == 1


def test_weak_events_newer_than_the_row(weak_world):
    """An event newer than the row is without a change; one that cannot be compared, or an older one, is unexplained."""
    world = weak_world
    world.ledger.base({"1": 5.0, "2": 5.0})
    world.put("1", 5.0)
    world.put("2", 5.0)
    world.send("1", 6.0)
    world.send("1", 4.0)
    world.send("1", "text")
    world.send("2", 5.0)
    world.send("2", 7.0, deleted=True)
    world.send("3", 1.0)
    world.settle()
    assert sorted(world.faults(), key=str) == [(FaultKind.EXTRA, "1", 6.0), (FaultKind.EXTRA, "2", 7.0)]
    assert (world.ledger.book.unexplained, world.ledger.book.earlier) == (3, 1)


def test_weak_deletions(weak_world):
    """A row that is gone needs an event that says so, early ones included; a hydrated one needs none."""
    world = weak_world
    world.ledger.base(dict.fromkeys("12345", "a"))
    world.send("1", "b", deleted=True)
    world.send("3", "b", deleted=True, early=True)
    world.ledger.hydrated("4", None, world.now)
    world.ledger.hydrated("7", None, world.now)
    world.ledger.hydrated("5", "z", world.now)
    world.ledger.hydrated("6", "z", world.now)
    for name in "56":
        world.put(name, "z")
    world.now += 1
    world.look()
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "2", None)]
    assert world.ledger.book.matched == 2
    world.ledger.passed("5")


def test_weak_keys_used_again(weak_world):
    """The event of a deletion is no fault if the row is newer, for then it was created anew before anybody looked."""
    world = weak_world
    world.ledger.base({"1": 5.0, "2": 5.0})
    world.put("1", 9.0)
    world.put("2", 7.0)
    world.send("1", 7.0, deleted=True)
    world.send("1", 9.0)
    world.send("2", 7.0)
    world.both()
    world.send("2", 7.5, deleted=True)
    world.settle()
    assert world.faults() == [(FaultKind.EXTRA, "2", 7.5)]
    assert (world.ledger.book.matched, world.ledger.book.unexplained) == (2, 1)


def test_weak_deletions_told_late(weak_world):
    """An event of a deletion that comes after it was told as missing takes the fault back."""
    world = weak_world
    world.ledger.base({"1": "a"})
    world.settle()
    assert world.faults() == [(FaultKind.MISSING, "1", None)]
    world.send("1", "b", deleted=True)
    world.settle()
    assert world.faults() == []
    assert (world.ledger.book.matched, world.ledger.book.late) == (1, 1)


def test_weak_early_events(weak_world):
    """An early event explains a state, and one that explains nothing is forgotten."""
    world = weak_world
    world.send("1", "a", early=True)
    world.send("2", "a", early=True)
    world.put("1", "a")
    world.settle()
    world.settle()
    assert world.faults() == []
    assert world.ledger.book.matched == 1


def test_weak_nothing_is_judged_while_events_cannot_be_read(weak_world):
    """However long events are not read, neither a state nor a deletion is missing one."""
    world = weak_world
    world.ledger.base({"1": "a"})
    world.put("2", "a")
    for _ in range(5):
        world.now += GRACE
        world.look()
    world.send("1", "b", deleted=True)
    world.send("2", "a")
    world.settle()
    assert world.faults() == []
    assert world.ledger.book.matched == 2


def test_weak_base_of_what_is_seen_first():
    """Without a scan a row that may be older than the check is taken as it is, and so is one that is not there."""
    world = World(weak(scanned=False, deletes=False))
    world.ledger.row("1", "a", world.now, fresh=False)
    world.ledger.row("2", None, world.now)
    world.rows["1"] = "a"
    world.settle()
    world.remove("1")
    world.send("1", "b")
    world.settle()
    assert world.faults() == []
    assert world.ledger.book.matched == 1


def test_weak_memory_is_bounded(monkeypatch):
    """Only so many changes with their event are remembered."""
    monkeypatch.setattr("shadowmig.wire.events.completeness._weak.MOST_RECENT", 2)
    monkeypatch.setattr("shadowmig.wire.events.completeness._weak.MOST_EARLY", 1)
    world = World(weak())
    for number in range(4):
        world.put(str(number), "a")
        world.send(str(number), "a")
        world.send(str(number), "b", early=True)
    world.settle()
    assert len(world.ledger._recent) == 2
    monkeypatch.setattr("shadowmig.wire.events.completeness._weak.KEPT", 2)
    for number in range(10, 15):
        world.put(str(number), "a")
    world.settle()
    assert world.ledger.book.missing == 5
    assert len(world.ledger._open) == 2
