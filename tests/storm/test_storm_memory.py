"""Storms on stores in memory: every planted defect is found at its place, and nothing else is."""

import json
from contextlib import contextmanager

import pytest
from attrs import evolve

from shadowmig.errors import ConfigError
from shadowmig.testing.storm import Candidate, Defect, MemorySite, Place, catalogue, storm
from shadowmig.testing.storm.report import as_json, closing, line

CATALOGUE = catalogue()


@pytest.fixture(scope="module")
def site():
    """A site in memory."""
    return MemorySite()


def test_storm_has_enough_defects():
    """The catalogue has at least 40 defects, each described, in every store, and with names of their own."""
    assert len(CATALOGUE) >= 40
    assert all(each.description.endswith(".") and name == each.name for name, each in CATALOGUE.items())
    assert {place.store for each in CATALOGUE.values() for place in each.places} == {"db", "cache", "events", ""}


@pytest.mark.parametrize("seed", [1, 2])
def test_storm_without_defect(site, seed):
    """Many writers on few records, and a candidate without a defect: no mismatch, and no write is lost on the way."""
    outcome = storm(site, writes=800, writers=8, records=6, seed=seed, plain=True)
    assert outcome.alarms == ()
    assert outcome.false_alarms == 0
    assert outcome.as_it_must_be
    assert sum(outcome.verdicts.values()) == outcome.writes == 800
    assert outcome.verdicts["match"] > 400
    assert outcome.verdicts["broken"] == outcome.verdicts["skipped"] == outcome.raced_alone == 0
    assert outcome.plain > 100, "a plain comparison must be fooled, or the storm is none"
    assert outcome.findings == ()


@pytest.mark.parametrize("versions", ["native", "none"])
def test_storm_without_versions(site, versions):
    """Without versions in the data there may be a false alarm, but hardly any, and each is marked as weakly proved."""
    outcome = storm(site, writes=800, writers=4, records=20, versions=versions)
    assert outcome.complete
    assert outcome.false_alarms == outcome.weak <= 2
    assert outcome.verdicts["match"] > 80


def test_storm_uncontended(site):
    """One writer on many records gets a real verdict on nearly every write."""
    outcome = storm(site, writes=200, writers=1, records=500)
    assert outcome.as_it_must_be
    assert outcome.verdicts["match"] >= 0.99 * 200


@pytest.mark.parametrize("name", CATALOGUE)
def test_storm_finds(site, name):
    """Each planted defect, alone, is found at a place where it shows, and nothing is reported elsewhere."""
    outcome = storm(site, writes=2000, writers=4, records=6, defect=CATALOGUE[name], until_found=True, settle=0.05)
    assert outcome.alarms == ()
    assert outcome.found
    assert outcome.calls <= outcome.writes
    assert Place(*outcome.place) in {Place(place.store, place.path, place.kind) for place in CATALOGUE[name].places}


def test_storm_misses_nothing_that_is_not_there(site):
    """A defect that never shows is not found, and a mismatch at another place than the declared is a false alarm."""
    none = Defect("nothing", "Nothing is wrong.", Candidate, [Place("db", "$.body", "changed")])
    outcome = storm(site, writes=60, writers=2, records=6, defect=none)
    assert not outcome.found
    assert not outcome.as_it_must_be
    assert "NOT FOUND" in line(outcome)
    lost = Defect("lost", "Events are lost.", CATALOGUE["event-missing"].candidate, none.places)
    outcome = storm(site, writes=60, writers=2, records=6, defect=lost, settle=0.05)
    assert outcome.false_alarms == sum(alarm.count for alarm in outcome.alarms) > 0
    assert "comment_events" in outcome.alarms[0].example
    assert "FALSE" in line(outcome)
    assert "0 of 1" in closing([outcome])
    assert json.loads(as_json([outcome]))["false_alarms"] == outcome.false_alarms


class FullSite(MemorySite):
    """A site whose stream takes no more after a while."""

    @contextmanager
    def open(self, versions, posts):
        """Do what the real one does, and watch how much is sent."""
        with super().open(versions, posts) as stores:
            sent = []

            def send(stream, fields):
                sent.append(fields)
                if len(sent) > 20:
                    raise RuntimeError("the stream is full")

            stores.backend.send = send
            yield stores


def test_storm_stops_when_production_fails():
    """What production raises, other than its refusals, ends the storm and is raised."""
    with pytest.raises(RuntimeError, match="the stream is full"):
        storm(FullSite(), writes=200, writers=2, records=6)


def test_storm_tells_what_is_incomplete(site):
    """A storm that was not judged in time says so, and is not as it must be."""
    outcome = evolve(storm(site, writes=20, writers=1, records=2, plain=True), complete=False)
    assert not outcome.as_it_must_be
    assert "INCOMPLETE" in closing([outcome])
    assert "plain" in closing([outcome])


@pytest.mark.parametrize("wrong", [{"writes": 0}, {"writers": 0}, {"records": -1}, {"versions": "xmin"}])
def test_storm_wrong_options(site, wrong):
    """A number below 1 and unknown versions are refused by name."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        storm(site, **wrong)
