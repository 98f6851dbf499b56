"""The two services of the storm, held against each other without a judge."""

import json
from contextlib import ExitStack

import pytest

from shadowmig.testing.storm import Candidate, MemorySite, catalogue
from shadowmig.testing.storm._workload import Workload
from shadowmig.testing.storm.candidate import WRITES
from shadowmig.testing.storm.service import COMMENTS, POSTS, STREAM, Conflict, Control, Invalid, NotFound

CATALOGUE = catalogue()
REFUSALS = (NotFound, Conflict, Invalid)


def held(stores):
    """Tell all that production's stores hold, as far as both services can have it alike."""
    db, events = stores.db.client(), stores.events.client()
    rows = {table: sorted(db.rows(table), key=lambda row: row["id"]) for table in (COMMENTS, POSTS)}
    keys = [stores.cache.key(f"comment:{number}") for number in range(1, 400)]
    records = stores.cache.read_production(keys).records
    cached = {
        record.ref.key: (record.value, record.meta["flags"], near(record.meta["ttl"]))
        for record in records
        if record.exists
    }
    sent = [
        (fields["event_id"], decoded(fields["body"]))
        for stream in (STREAM, "comments")
        for _, fields in events.entries(stream)
    ]
    return rows, cached, sent


def near(seconds):
    """Round a time to live, which goes on while it is looked at."""
    return seconds if seconds is None else round(seconds / 10)


def decoded(body):
    """Decode an event's body, if it can be."""
    try:
        return json.loads(body)
    except ValueError:
        return body


@pytest.fixture
def sides():
    """The stores of a control and of a candidate, and what is to be written."""
    workload = Workload(6, seed=1)
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(MemorySite().open("column", workload.posts)) for _ in range(2))
        # Far from production's ids, as a sister's own sequence is.
        theirs.db.production.space.sequences[COMMENTS] = 10**9
        yield workload, ours, theirs


def outcome(handler, *args, **carried):
    """Call a handler; give its answer, or the class of what it raised."""
    try:
        return handler(*args, **carried)
    except Exception as error:
        return type(error)


def both(control, candidate, write, args):
    """Make a write on both sides, the candidate's with what control generated."""
    ours = outcome(getattr(control, write), *args)
    carried = {} if isinstance(ours, type) else {"at": ours["at"], "event_id": ours["event_id"]}
    if write == "create" and carried:
        carried["comment_id"] = ours["id"]
    return ours, outcome(getattr(candidate, write), *args, **carried)


def test_storm_candidate_is_right(sides):
    """A candidate without a defect answers and leaves the same as control, write by write."""
    workload, ours, theirs = sides
    control, candidate = Control(ours.backend), Candidate(theirs.backend)
    dice, seen = workload.dice(0), set()
    for _ in range(600):
        write, args = workload.next(dice)
        answer, other = both(control, candidate, write, args)
        assert answer == other
        seen.add((write, answer if isinstance(answer, type) else None))
        if not isinstance(answer, type):
            workload.learn(write, answer)
    assert held(ours) == held(theirs)
    assert {write for write, refusal in seen if refusal is None} == set(WRITES)
    assert {refusal for _, refusal in seen} == {None, *REFUSALS}


@pytest.mark.parametrize("name", CATALOGUE)
def test_storm_defect_is_planted(sides, name):
    """Each defect of the catalogue really makes a difference, in an answer or in a store."""
    workload, ours, theirs = sides
    control, candidate = Control(ours.backend), CATALOGUE[name].candidate(theirs.backend)
    dice = workload.dice(0)
    for number in range(2000):
        write, args = workload.next(dice)
        answer, other = both(control, candidate, write, args)
        if repr(answer) != repr(other) or (number % 100 == 99 and held(ours) != held(theirs)):
            return
        if not isinstance(answer, type):
            workload.learn(write, answer)
    pytest.fail("no difference in 2000 writes")


def test_storm_candidate_makes_its_own(sides):
    """A candidate that is served, so that nothing is carried, makes its own ids and times."""
    _, _, theirs = sides
    candidate = Candidate(theirs.backend)
    made = candidate.create(1, "Ada", "tea", None, ["a"])
    edited = candidate.update(made["id"], "coffee")
    assert made["id"] > 10**9
    assert edited["edited_at"] == edited["at"] > made["at"]
    assert edited["event_id"] != made["event_id"]
    assert theirs.cache.client().get(f"comment:{made['id']}") is not None


@pytest.mark.parametrize("service", [Control, Candidate])
def test_storm_unknown_posts_are_refused(sides, service):
    """A comment can be neither added nor moved to a post that is not there, and nothing is left of the attempt."""
    _, ours, _ = sides
    handlers = service(ours.backend)
    made = handlers.create(1, "Ada", "tea")
    before = held(ours)
    for attempt in (lambda: handlers.create(99, "Ada", "tea"), lambda: handlers.move(made["id"], 1, 99)):
        with pytest.raises(NotFound):
            attempt()
    assert held(ours) == before


def test_storm_refuses_other_than_times(sides):
    """A row with a value that JSON does not know is an error, not a made-up text."""
    _, ours, _ = sides
    with ours.backend.transaction() as rows:
        rows.insert(COMMENTS, {"id": 7, "score": 1, "version": 1, "body": {1}})
    with pytest.raises(TypeError, match="set is not for JSON"):
        Control(ours.backend).vote(7, 1)
