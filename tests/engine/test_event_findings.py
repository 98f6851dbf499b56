"""Faults of event streams become findings of the migration."""

from datetime import UTC, datetime

import pytest

from shadowmig import Migration
from shadowmig.errors import ConfigError
from shadowmig.model import Difference
from shadowmig.sinks import Memory
from shadowmig.wire.events import EventFault, EventVerdict

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("verdict", "path", "kind"),
    [
        (EventVerdict.MISSING, "$", "missing"),
        (EventVerdict.UNEXPECTED, "$", "unexpected"),
        (EventVerdict.UNDECODABLE, "$", "raised"),
        (EventVerdict.DOUBLED, "@count", "changed"),
        (EventVerdict.OUT_OF_ORDER, "@order", "order"),
        (EventVerdict.LATE, "@lag", "deadline"),
    ],
)
def test_each_fault_has_a_place(verdict, path, kind):
    """A fault becomes a finding of its own kind, named by the stream, with the event's id in its example."""
    with Migration("m", sinks=[Memory()]) as migration:
        tell = migration.event_faults("comment_events")
        tell(EventFault(verdict, "e1", "sister", AT, note="why"))
        tell(EventFault(verdict, "e2", "sister", AT, note="why"))
        (finding,) = migration.findings()
    assert (finding.experiment, finding.path, finding.kind, finding.count) == ("comment_events", path, kind, 2)
    assert (finding.store, finding.record, finding.proofs) == ("events", "comment_events", {"event": 2})
    assert ["e1" in example.record for example in finding.examples] == [True, False]
    assert [example.note for example in finding.examples] == ["why", "why"]


def test_contents_keep_their_paths():
    """Where contents differ, each path is a finding with both values, and secrets in them are masked."""
    with Migration("m", sinks=[]) as migration:
        found = (Difference("$.body", "changed", "a", "b"), Difference("$.password", "changed", "x1", "x2"))
        migration.event_faults("s")(EventFault(EventVerdict.DIFFERENT, "e1", "sister", AT, differences=found))
        texts = {finding.path: finding.examples[0] for finding in migration.findings()}
    assert (texts["$.body"].control, texts["$.body"].candidate) == ("'a'", "'b'")
    assert "x1" not in texts["$.password"].control


@pytest.mark.parametrize("verdict", [EventVerdict.BROKEN, EventVerdict.LOST_SIGHT])
def test_what_says_nothing_of_the_candidate(verdict):
    """What we could not compare, or did not see, is no finding."""
    with Migration("m", sinks=[]) as migration:
        migration.event_faults("s")(EventFault(verdict, "e1", "sister", AT))
        assert migration.findings() == ()


def test_findings_reach_the_sinks():
    """A process that only watches events publishes what it finds."""
    sink = Memory()
    with Migration("m", sinks=[sink]) as migration:
        migration.event_faults("s")(EventFault(EventVerdict.MISSING, "e1", "sister", AT))
    assert [finding.kind for finding in sink.findings] == ["missing"]


def test_a_name_that_is_none():
    """A stream's name that is no text is refused at once."""
    with Migration("m", sinks=[]) as migration, pytest.raises(ConfigError, match="stream"):
        migration.event_faults(7)
