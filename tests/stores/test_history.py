"""What is remembered of production's states, and for how long."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from shadowmig.model import MISSING, Record, Ref
from shadowmig.stores.history import LARGEST, MOST_RECORDS, MOST_STATES, History


def ref(number: int = 1) -> Ref:
    """Name a record."""
    return Ref("db", "row", "comments", (number,))


def test_states_by_version() -> None:
    """A state that was read is found by its version, and no other."""
    history, first, second = History(), Record(ref(), "a", 1), Record(ref(), "b", 2)
    history.learn(first)
    history.learn(second)
    assert history.at(ref(), 1) is first
    assert history.at(ref(), 2) is second
    assert history.at(ref(), 3) is None
    assert history.at(ref(2), 1) is None
    assert history.told(ref(), 1) is None


def test_what_events_tell_is_kept_apart() -> None:
    """What an event told is found as told, not as read, deletions too."""
    history = History()
    history.tell(Record(ref(), {"body": "a"}, 1))
    history.tell(Record(ref(), MISSING, 2))
    assert history.at(ref(), 1) is None
    told = history.told(ref(), 1)
    assert told is not None
    assert told.value == {"body": "a"}
    gone = history.told(ref(), 2)
    assert gone is not None
    assert not gone.exists


@pytest.mark.parametrize("version", [None, [1], {}])
def test_without_a_version(version: Any) -> None:
    """What has no version, or one that cannot be looked up, is not kept."""
    history = History()
    history.learn(Record(ref(), "a", version))
    history.tell(Record(ref(), "a", version))
    assert history.at(ref(), version) is None
    assert history.told(ref(), version) is None


@pytest.mark.parametrize(
    ("value", "raw", "kept"),
    [
        ("x" * LARGEST, None, True),
        ("x" * (LARGEST + 1), None, False),
        ({"a": "x" * LARGEST, "b": "x"}, None, False),
        ({"a": b"x" * LARGEST, "b": 5}, None, True),
        ("x" * (LARGEST + 1), b"small", True),
        ("x", b"x" * (LARGEST + 1), False),
        (None, None, True),
    ],
)
def test_large_states_are_not_kept(value: Any, raw: bytes | None, kept: bool) -> None:
    """A state whose texts or bytes are large is not kept, whether read or told."""
    history = History()
    history.learn(Record(ref(), value, 1, raw=raw))
    history.tell(Record(ref(2), value, 1, raw=raw))
    assert (history.at(ref(), 1) is not None) is kept
    assert (history.told(ref(2), 1) is not None) is kept


def test_few_states_of_one_record() -> None:
    """Of one record the latest states are kept, and one that is seen again counts as late."""
    history = History()
    for version in range(MOST_STATES):
        history.learn(Record(ref(), version, version))
    history.learn(Record(ref(), 0, 0))
    history.learn(Record(ref(), "new", MOST_STATES))
    assert history.at(ref(), 0) is not None
    assert history.at(ref(), 1) is None
    assert history.at(ref(), 2) is not None


def test_few_records() -> None:
    """Of many records those are kept that were seen last."""
    history = History()
    for number in range(MOST_RECORDS):
        history.learn(Record(ref(number), "a", 1))
    history.learn(Record(ref(0), "b", 2))
    history.learn(Record(ref(MOST_RECORDS), "a", 1))
    assert history.at(ref(0), 1) is not None
    assert history.at(ref(1), 1) is None
    assert history.at(ref(MOST_RECORDS), 1) is not None


def test_a_new_life() -> None:
    """What was known of a record that was gone is forgotten once there is a new one, whose versions count anew."""
    history = History()
    history.learn(Record(ref(), "old", 2))
    history.learn(Record(ref()))
    assert history.at(ref(), 2) is not None  # still what it was at that version
    history.learn(Record(ref(), "new", 1))
    assert history.at(ref(), 2) is None
    assert history.at(ref(), 1) is not None


def test_a_life_ended_by_an_event() -> None:
    """A deletion that only an event told ends what was known of a record, as soon as there is a new one."""
    history = History()
    history.learn(Record(ref(), "old", 1))
    history.learn(Record(ref(), "old", 2))
    history.tell(Record(ref(), MISSING, 3))
    history.learn(Record(ref(), "new", 1))
    assert history.at(ref(), 2) is None
    first = history.at(ref(), 1)
    assert first is not None
    assert first.value == "new"


def test_gone_before_anything_was_known() -> None:
    """A record that was never there is not remembered as gone."""
    history = History()
    history.learn(Record(ref()))
    history.learn(Record(ref(), "a", 1))
    assert history.at(ref(), 1) is not None


def test_many_threads() -> None:
    """Threads that learn and ask at the same time get either nothing or the right state."""
    history, wrong = History(), []

    def work(start: int) -> None:
        for number in range(start, start + 1500):
            history.learn(Record(ref(number), number, 1))
            history.tell(Record(ref(number), number, 1))
            found = (history.at(ref(number), 1), history.told(ref(number), 1))
            wrong.extend(record for record in found if record is not None and record.value != number)

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 500, 1000, 1500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
